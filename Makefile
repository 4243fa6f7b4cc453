# reconciled - build, test, install. `make help` lists the targets.
#
# One build folder per variant, so that objects never mix: build/release, build/asan, build/tsan, …
#   make SANITIZE=address,undefined test      make SANITIZE=thread test-concurrent

VERSION := 0.2.0
PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
CC ?= gcc
PYTHON := /usr/bin/python3

# A build takes all cores unless the command line has a -j. Several goals that are no files go one after the other.
ifeq ($(MAKELEVEL)$(and $(word 2,$(MAKECMDGOALS)),$(filter-out all $(BUILD)/%,$(MAKECMDGOALS))),0)
MAKEFLAGS += -j$(shell nproc)
endif

# ---- packages: the one place that names them, except what the image needs at run time (docker/Dockerfile) ---------
# What the README asks for.
PACKAGES_BARE := git make gcc
PACKAGES_BUILD := gcc libc6-dev make pkg-config libmicrohttpd-dev libcurl4-openssl-dev libjansson-dev libpq-dev \
	uuid-dev libsqlite3-dev libssl-dev python3 python3-yaml
PACKAGES_DEMO := $(PACKAGES_BUILD) curl ca-certificates sqlite3
PACKAGES_TEST := $(PACKAGES_DEMO) libcmocka-dev postgresql pgbouncer python3-pytest python3-jsonschema \
	python3-psycopg python3-venv valgrind systemd mandoc man-db zsh fish
PACKAGES_ROOTS := python3 debootstrap iproute2
PACKAGES_BENCH := $(PACKAGES_TEST) wrk
PACKAGES_FUZZ = $(PACKAGES_TEST) clang-$(CLANG) libclang-rt-$(CLANG)-dev
# One version, which Debian 12 and 13 both have: each formats and complains in its own way.
CLANG := 19
PACKAGES_LINT := $(PACKAGES_TEST) clang-format-$(CLANG) clang-tidy-$(CLANG)

# ---- variant -----------------------------------------------------------------------------------------------------
SANITIZE ?=
comma := ,
ifeq ($(SANITIZE),)
VARIANT := release
else
VARIANT := san-$(subst $(comma),-,$(SANITIZE))
endif
OUT := $(BUILD)/$(VARIANT)

LIBS_PKG := libmicrohttpd libcurl jansson libpq uuid sqlite3 libcrypto
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wformat=2 \
	-Wnull-dereference -Wundef -Wwrite-strings -Wimplicit-fallthrough -Wold-style-definition
WERROR ?= -Werror
# Empty before `setup` has run; the targets that install call make again.
PKG_CFLAGS := $(shell pkg-config --cflags $(LIBS_PKG) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(LIBS_PKG) 2>/dev/null)
TEST_LIBS := $(shell pkg-config --libs cmocka libssl 2>/dev/null)
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE $(WARN) $(WERROR) -O2 -g -fstack-protector-strong -fPIE -pthread -I. -I$(OUT)/gen \
	-DRECONCILED_VERSION='"$(VERSION)"' $(PKG_CFLAGS)
ALL_LDFLAGS = -pie -pthread -Wl,-z,relro,-z,now
ifeq ($(SANITIZE),)
ALL_CFLAGS += -D_FORTIFY_SOURCE=2
else
ALL_CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
ALL_LDFLAGS += -fsanitize=$(SANITIZE)
endif
ALL_CFLAGS += $(CFLAGS)
ALL_LDFLAGS += $(LDFLAGS)

# ---- sources: everything but the tests, and main apart, is one archive ---------------------------------------------
LIB_SRCS := $(filter-out server/main.c,$(sort $(shell find clients reconcile handlers server -name '*.c')))
LIB_OBJS := $(LIB_SRCS:%.c=$(OUT)/%.o) $(OUT)/gen/embedded.o
LIB := $(OUT)/libreconciled.a
BIN := $(OUT)/reconciled
SUPPORT := $(OUT)/libsupport.a
SANDBOX_SRCS := $(wildcard tests/sandbox/*.c)
SANDBOX := $(OUT)/sandbox
UNIT := $(patsubst %.c,$(OUT)/%,$(sort $(shell find tests/unit -name 'test_*.c')))
INTEGRATION := $(patsubst %.c,$(OUT)/%,$(sort $(shell find tests/integration -name 'test_*.c')))
# Whatever runs in more than one thread: what ThreadSanitizer is for.
CONCURRENT := $(INTEGRATION) $(OUT)/tests/unit/server/test_publication
FUZZ := $(patsubst %.c,$(OUT)/%,$(filter-out %/fuzz_main.c,$(wildcard tests/fuzz/fuzz_*.c)))
BENCH := $(patsubst tests/bench/%.c,$(OUT)/tests/bench/%,$(wildcard tests/bench/bench_*.c))

# `make V=1` shows whole commands.
Q := $(if $(V),,@)
show = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

.PHONY: all
all: $(BIN)

$(BIN): $(OUT)/server/main.o $(LIB)
	$(call show,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(LIB): $(LIB_OBJS)
	@rm -f $@
	$(call show,AR,$@)
	$(Q)ar rcs $@ $^

$(SUPPORT): $(patsubst %.c,$(OUT)/%.o,$(sort $(shell find tests/support -name '*.c')))
	@rm -f $@
	$(call show,AR,$@)
	$(Q)ar rcs $@ $^

$(SANDBOX): $(SANDBOX_SRCS:%.c=$(OUT)/%.o) $(LIB)
	$(call show,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(OUT)/tests/%: $(OUT)/tests/%.o $(SUPPORT) $(LIB)
	$(call show,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(PKG_LIBS) $(TEST_LIBS)

# A fuzz target runs over its corpus alone, but where libFuzzer is asked for.
ifeq ($(findstring fuzzer,$(SANITIZE)),)
$(FUZZ): $(OUT)/tests/fuzz/fuzz_main.o
else
$(FUZZ): ALL_LDFLAGS += -fsanitize=fuzzer
endif

$(BENCH): $(patsubst %.c,$(OUT)/%.o,$(filter-out tests/bench/bench_%,$(wildcard tests/bench/*.c)))

# Tests of clients that start the sandbox.
$(filter %/test_gitea_branch %/test_plane %/test_plane_metric %/test_plane_odd %/test_telegram %/test_notifier,$(INTEGRATION)): | $(SANDBOX)

# Tests of the domain see facts that the test made up, in place of book, Gitea and the network.
$(addprefix $(OUT)/tests/,unit/reconcile/gates/test_gate unit/reconcile/resolve/test_resolve \
	integration/reconcile/sweep/test_pass integration/reconcile/sweep/test_sweeper integration/reconcile/sweep/test_pass_messages \
	integration/reconcile/explain/test_one_decision): $(OUT)/tests/doubles/facts.o
$(addprefix $(OUT)/tests/integration/reconcile/,sweep/test_pass_plane explain/test_task_issue): \
	$(OUT)/tests/doubles/facts.o $(OUT)/tests/doubles/issues.o
$(OUT)/tests/unit/reconcile/plane/test_plane_scan: $(OUT)/tests/doubles/issues.o

$(OUT)/%.o: %.c | $(OUT)/packages
	@mkdir -p $(@D)
	$(call show,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The files that the binary carries within itself.
EMBED := openapi/openapi.yaml reconcile/pipeline/pipeline.default.json server/reconciled.8.in \
	clients/store/pg/schema.sql clients/store/sqlite/schema.sql
$(OUT)/gen/embedded.c: openapi/embed.py $(EMBED) | $(OUT)/packages
	@mkdir -p $(@D)
	$(call show,GEN,$@)
	$(Q)$(PYTHON) openapi/embed.py $(EMBED) > $@.tmp && mv $@.tmp $@
$(OUT)/gen/embedded.o: $(OUT)/gen/embedded.c
	$(call show,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

.PRECIOUS: $(OUT)/%.o $(OUT)/tests/%.o
-include $(shell find $(OUT) -name '*.d' 2>/dev/null)

# ---- set-up: installs what is missing, as root or by sudo --------------------------------------------------------------
as_root = run=; [ "$$(id -u)" -eq 0 ] || run=sudo
# missing LIST: the packages of it that are not installed.
missing = $$(for package in $(1); do \
	dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || printf ' %s' $$package; done)
# A line for each package that is fetched or set up; apt's output is in apt.log. sed ends with what apt-get ended with.
define install_packages
	@missing="$(call missing,$(1))"; [ -z "$$missing" ] || { echo "installing:$$missing"; mkdir -p $(BUILD); $(as_root); \
		{ $$run apt-get update -q && $$run env DEBIAN_FRONTEND=noninteractive LC_MESSAGES=C apt-get install -y -q \
			--no-install-recommends -o Dpkg::Use-Pty=0 $$missing; echo "exit $$?"; } </dev/null 2>&1 | tee $(BUILD)/apt.log | \
		sed -un -e 's/^Get:[0-9]* [^ ]* [^ ]* [^ ]* \([^ ]*\) [^ ]* \([^ ]*\) \(.*\)/  GET   \1 \2 \3/p' \
			-e 's/^Setting up \([^ :]*\).*/  SETUP \1/p' -e '/^exit [1-9]/q1' || { tail -40 $(BUILD)/apt.log; exit 1; }; }
endef

# Once for each variant: names all packages that are missing instead of the first header that is.
# names_missing TARGET LIST: the message of a failed check.
names_missing = { missing="$(call missing,$(2))"; \
	echo "missing:$${missing:- $(CC), pkg-config or a module of $(PYTHON)}; run \`make $(1)\` first" >&2; exit 1; }
$(OUT)/packages:
	@pkg-config --exists $(LIBS_PKG) 2>/dev/null && $(PYTHON) -c 'import yaml' 2>/dev/null && \
		echo '#include <stdlib.h>' | $(CC) -E - >/dev/null 2>&1 || $(call names_missing,setup,$(PACKAGES_BUILD))
	@mkdir -p $(@D) && touch $@
$(OUT)/packages-test: | $(OUT)/packages
	@pkg-config --exists cmocka libssl 2>/dev/null || $(call names_missing,setup-test,$(PACKAGES_TEST))
	@touch $@
$(addsuffix .o,$(UNIT) $(INTEGRATION)) $(patsubst %.c,$(OUT)/%.o,$(sort $(shell find tests/support -name '*.c'))): | $(OUT)/packages-test

# Checks metrics and alert rules. One that is there is taken. It is unpacked and never installed: Debian 13 has a package of it,
# but in Debian 12 it is in one that starts a server.
PROMTOOL := $(or $(if $(ONLY_LISTED),,$(shell command -v promtool 2>/dev/null)),$(BUILD)/tools/promtool)
$(BUILD)/tools/promtool:
	@mkdir -p $(@D)
	$(call show,GET,$@)
	@cd $(@D) && rm -f *.deb; $(as_root); \
		get() { package=promtool; apt-cache show $$package >/dev/null 2>&1 || package=prometheus; \
			apt-get download -qq -o APT::Sandbox::User=root $$package; }; \
		get 2>/dev/null || { $$run apt-get update -qq && get; } && \
		dpkg-deb --fsys-tarfile *.deb | tar -xO ./usr/bin/promtool >promtool.tmp && rm *.deb && \
		chmod +x promtool.tmp && mv promtool.tmp promtool

.PHONY: setup setup-test setup-bench setup-fuzz setup-lint
setup:
	$(call install_packages,$(PACKAGES_BUILD))
setup-test: $(PROMTOOL)
	$(call install_packages,$(PACKAGES_TEST))
setup-bench:
	$(call install_packages,$(PACKAGES_BENCH))
setup-fuzz:
	$(call install_packages,$(PACKAGES_FUZZ))
setup-lint:
	$(call install_packages,$(PACKAGES_LINT))

# ONLY_LISTED=1: with the programs of the listed packages alone, so that one that the lists lack is not found where it is installed.
only = $(if $(ONLY_LISTED),PATH="$$($(PYTHON) tests/listed.py $(BUILD)/listed/$@ $(PACKAGES_BARE) $(1))")

# ---- a look at it ----------------------------------------------------------------------------------------------------------
.PHONY: demo run
demo:
	$(call install_packages,$(PACKAGES_DEMO))
	@$(call only,$(PACKAGES_DEMO)) $(MAKE) --no-print-directory -s $(BIN) $(SANDBOX)
	@$(call only,$(PACKAGES_DEMO)) OUT=$(OUT) tests/sandbox/demo.sh
run: setup
	@$(MAKE) --no-print-directory -s $(BIN)
	@$(BIN) serve

# ---- tests ------------------------------------------------------------------------------------------------------------------
# `test` does everything itself on a fresh machine; `check` is the fast part, on a machine that is set up.
.PHONY: docker-check fresh-check test test-run test-concurrent check valgrind lint format clean help
# What the tests run, for tests/run.sh.
TEST_PROGRAMS = RECONCILED=$(abspath $(BIN)) SANDBOX=$(abspath $(SANDBOX)) PROMTOOL=$(abspath $(PROMTOOL))
test: setup-test
	@$(call only,$(PACKAGES_TEST)) $(MAKE) --no-print-directory -s test-run
test-run: $(UNIT) $(FUZZ) $(INTEGRATION) $(BIN) $(SANDBOX)
	@$(TEST_PROGRAMS) tests/run.sh $(UNIT) $(FUZZ) $(INTEGRATION) --pytest tests/e2e
# With SANITIZE=thread. The libraries are not instrumented, and yet nothing needs to be suppressed: keep it so.
test-concurrent: setup-test
	@$(MAKE) --no-print-directory -s $(CONCURRENT) $(BIN) $(SANDBOX)
	@TSAN_OPTIONS=exitcode=66 $(TEST_PROGRAMS) LIMIT=600 tests/run.sh $(CONCURRENT) --pytest tests/e2e
check: $(UNIT)
	@tests/run.sh $(UNIT)
# What is too long for every run: all of the failure matrix and 20,000 requests of schemathesis, of which `test` has samples.
.PHONY: evidence
evidence: setup-test
	@$(MAKE) --no-print-directory -s $(BIN) $(SANDBOX)
	@MATRIX=full CASES=20000 $(TEST_PROGRAMS) tests/run.sh --pytest tests/e2e/test_failure_matrix.py tests/e2e/test_schemathesis.py
# The programs of the tests under valgrind; SANITIZE=… make test does as much for the sanitizers.
valgrind: setup-test
	@$(MAKE) --no-print-directory -s $(UNIT) $(FUZZ) $(INTEGRATION)
	@WRAP="valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,possible" LIMIT=900 \
		tests/run.sh $(UNIT) $(FUZZ) $(INTEGRATION)

# Each fuzz target for so many seconds, from its corpus and from what earlier runs found worth keeping.
.PHONY: fuzz fuzz-run
SECONDS ?= 60
fuzz: setup-fuzz
	@$(MAKE) --no-print-directory -s CC=clang-$(CLANG) WARN= SANITIZE=fuzzer-no-link,address,undefined fuzz-run
fuzz-run: $(FUZZ)
	@for target in $(FUZZ:$(OUT)/tests/fuzz/fuzz_%=%); do mkdir -p $(BUILD)/fuzz/$$target && \
		$(OUT)/tests/fuzz/fuzz_$$target -max_total_time=$(SECONDS) -max_len=65536 -verbosity=0 -print_final_stats=1 \
		-artifact_prefix=$(BUILD)/fuzz/$$target- $(BUILD)/fuzz/$$target tests/fuzz/corpus/$$target || exit 1; done

.PHONY: bench
bench: setup-bench
	@$(MAKE) --no-print-directory -s $(BENCH)
	@$(MAKE) --no-print-directory -s $(BIN) $(SANDBOX)
	@for bench in $(BENCH); do tests/postgres.sh $$bench $(OUT) || exit 1; done

# The Dockerfile without an engine: minutes, the network, root.
docker-check:
	$(call install_packages,$(PACKAGES_ROOTS))
	@$(as_root); $$run $(PYTHON) tests/roots/replay.py

# The README's commands on machines that have nothing else; RELEASES, USERS and COMMANDS choose some.
fresh-check:
	$(call install_packages,$(PACKAGES_ROOTS))
	@mkdir -p $(BUILD) && git bundle create -q $(BUILD)/source.bundle HEAD
	@git diff --quiet HEAD || echo "What is not committed is not part of it."
	@$(as_root); $$run $(PYTHON) tests/roots/fresh.py --bundle $(BUILD)/source.bundle --packages "$(PACKAGES_BARE)" \
		--releases "$(RELEASES)" --users "$(USERS)" --commands "$(COMMANDS)"

lint: setup-lint
	@$(call only,$(PACKAGES_LINT)) CLANG=$(CLANG) PACKAGES="$(PACKAGES_BARE) $(PACKAGES_TEST)" tests/lint.sh
format:
	clang-format-$(CLANG) -i $$(git ls-files '*.c' '*.h')

help:
	@echo "make            build ($(BIN))"
	@echo "make demo       see it heal: sandbox, stuck tasks, one pass; then left running for a look"
	@echo "make run        build and serve, settings from the environment"
	@echo "make test       everything: unit, integration and end-to-end tests; sets itself up"
	@echo "make evidence   every failure at every call, on both databases; 20,000 requests by schemathesis (minutes)"
	@echo "make check      the fast unit tests"
	@echo "make test-concurrent  what has threads; for SANITIZE=thread"
	@echo "make valgrind   the test programs under valgrind"
	@echo "make docker-check  every step of docker/Dockerfile in folders of debootstrap (root, network)"
	@echo "make fresh-check  demo and test in bare roots of Debian 12 and 13, as root and with sudo (root, network, an hour);"
	@echo "                RELEASES=bookworm USERS=root COMMANDS=test choose some"
	@echo "make setup      installs what \`make\` needs; setup-test, setup-lint, setup-bench, setup-fuzz what the others need"
	@echo "make lint       the rules of the tree;  make format  mends the format"
	@echo "make fuzz       each fuzz target for SECONDS=60 under libFuzzer; what it finds is in $(BUILD)/fuzz"
	@echo "make bench      speed and memory, figures on stdout"
	@echo "make install    to PREFIX ($(PREFIX)), below DESTDIR;  make uninstall"
	@echo "make clean      removes $(BUILD)"
	@echo "Variables: SANITIZE=address,undefined or thread; V=1; CFLAGS, LDFLAGS; BUILD; PREFIX, DESTDIR"

# ---- installation ------------------------------------------------------------------------------------------------------------
.PHONY: install uninstall
# Nothing below /etc: settings are the operator's. The man page and the unit name paths, which follow PREFIX.
MAN := $(DESTDIR)$(PREFIX)/share/man/man8
UNITS := $(DESTDIR)$(PREFIX)/lib/systemd/system
SYSUSERS := $(DESTDIR)$(PREFIX)/lib/sysusers.d
SHARED := $(DESTDIR)$(PREFIX)/share/reconciled
DOC := $(DESTDIR)$(PREFIX)/share/doc/reconciled
BASH_COMPLETIONS := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
# Debian's zsh looks for those of packages in a folder of its own.
ZSH_COMPLETIONS := $(DESTDIR)$(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
FISH_COMPLETIONS := $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
follow_prefix = sed 's|/usr/local|$(PREFIX)|g'
$(OUT)/reconciled.8: $(BIN)
	@$(BIN) --manual > $@.tmp && mv $@.tmp $@
install: $(BIN) $(OUT)/reconciled.8
	install -d $(MAN) $(UNITS) $(SYSUSERS) $(SHARED) $(DOC) $(BASH_COMPLETIONS) $(ZSH_COMPLETIONS) $(FISH_COMPLETIONS)
	install -D -m 0755 $(BIN) $(DESTDIR)$(PREFIX)/bin/reconciled
	$(follow_prefix) $(OUT)/reconciled.8 | install -m 0644 /dev/stdin $(MAN)/reconciled.8
	$(follow_prefix) docker/reconciled.service | install -m 0644 /dev/stdin $(UNITS)/reconciled.service
	$(BIN) completion bash | install -m 0644 /dev/stdin $(BASH_COMPLETIONS)/reconciled
	$(BIN) completion zsh | install -m 0644 /dev/stdin $(ZSH_COMPLETIONS)/_reconciled
	$(BIN) completion fish | install -m 0644 /dev/stdin $(FISH_COMPLETIONS)/reconciled.fish
	install -m 0644 docker/reconciled.sysusers $(SYSUSERS)/reconciled.conf
	install -m 0644 docker/env.example $(DOC)/reconciled.env
	install -m 0644 docker/prometheus/rules.yml $(DOC)/prometheus-rules.yml
	install -m 0644 docker/grafana/dashboard.json $(DOC)/grafana-dashboard.json
	install -m 0644 reconcile/pipeline/pipeline.default.json reconcile/pipeline/pipeline.schema.json $(SHARED)
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/reconciled $(MAN)/reconciled.8 $(UNITS)/reconciled.service \
		$(SYSUSERS)/reconciled.conf $(BASH_COMPLETIONS)/reconciled $(ZSH_COMPLETIONS)/_reconciled \
		$(FISH_COMPLETIONS)/reconciled.fish
	rm -rf $(SHARED) $(DOC)

clean:
	@[ ! -d $(BUILD)/roots ] || { $(as_root); $$run rm -rf $(BUILD)/roots; }
	rm -rf $(BUILD) demo-run
