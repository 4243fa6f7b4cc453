/* commands.h - the commands of the program. Private to server/.
 *
 * Each command returns the exit status of the process (options.h).
 */
#ifndef RECONCILED_COMMANDS_H
#define RECONCILED_COMMANDS_H

#include <jansson.h>
#include <stdbool.h>

#include "clients/http/certificates.h"
#include "clients/http/fetch.h"
#include "reconcile/heal/services.h"
#include "reconcile/sweep/pass.h"

/* What every command but --help needs, read once and checked. */
struct setup {
    struct settings *settings;
    struct pipeline *pipeline;
};

/* setup_load: from the environment. `settings_problems` and `pipeline_problems` (arrays of strings) get one
 * line per problem; ERR_INVALID if there was any. The parts that could be read are set even then. */
ATTR_NODISCARD enum err setup_load(struct setup *ret, json_t *settings_problems, json_t *pipeline_problems);
/* setup_certificates: the certificate and key of the listener; an empty pair if it uses plain HTTP. */
ATTR_NODISCARD enum err setup_certificates(const struct settings *settings, struct certificate_pair *ret,
                                           struct why *why);
/* setup_warnings: an array of strings: what is allowed in the environment and should be changed, and a
 * certificate of our own that expires soon; without
 * settings, because they had problems, what can still be found. Caller owns it. */
json_t *setup_warnings(const struct setup *setup);
void setup_done(struct setup *setup);

/* The clients of the upstreams, as the settings describe them; their errors name the settings. gitea_open and
 * plane_open: without a URL, the client exists and sends no request. telegram_open, notify_webhook_open and
 * orchestrator_open:
 * call them only if they are set up. Free each with its own _free. */
ATTR_NODISCARD enum err gitea_open(const struct settings *settings, struct gitea **ret, struct why *why);
ATTR_NODISCARD enum err plane_open(const struct settings *settings, struct plane **ret, struct why *why);
ATTR_NODISCARD enum err telegram_open(const struct settings *settings, struct telegram **ret,
                                      struct why *why);
ATTR_NODISCARD enum err notify_webhook_open(const struct settings *settings, struct notify_webhook **ret,
                                            struct why *why);
ATTR_NODISCARD enum err orchestrator_open(const struct settings *settings, struct orchestrator **ret,
                                          struct why *why);

/* setup_store: opens the database of the settings. Free with store_free. */
ATTR_NODISCARD enum err setup_store(const struct settings *settings, struct store **ret, struct why *why);

/* upstream_options: the options of the fetcher. Borrows from the settings. */
struct fetch_options upstream_options(const struct settings *settings);
/* services_open: everything of struct services that every command needs; services_close: after all threads
 * have ended. */
ATTR_NODISCARD enum err services_open(const struct setup *setup, struct services *ret, struct why *why);
void services_close(struct services *services);

int serve(const struct setup *setup);
int run_once(const struct setup *setup, const struct pass_request *asked, const char *task);
/* migrate: with `create`, also beside tables of the same names. */
int migrate(const struct setup *setup, bool create);
/* health: asks the service that runs with this setup whether it is healthy, or with `ready` whether it is
 * ready. */
int health(const struct setup *setup, bool ready);
/* manual: prints the manual page. */
int manual(void);
/* check: loads the setup itself, because its report includes the problems of the setup. */
int check(void);

#endif
