/* The command line. */
#include "server/options.h"
#include "tests/support/test.h"

static enum err read_line(struct options *ret, const char *a, const char *b, const char *c, const char *d)
{
    const char *words[] = {"reconciled", a, b, c, d, NULL};
    struct why why;
    int argc = 1;
    while (words[argc])
        argc++;
    return options_read(argc, (char **)(uintptr_t)words, ret, &why);
}

TEST(a_line_names_one_command)
{
    static const struct {
        const char *word;
        enum command_id command;
    } cases[] = {{NULL, COMMAND_SERVE},    {"serve", COMMAND_SERVE},       {"run", COMMAND_RUN},
                 {"check", COMMAND_CHECK}, {"migrate", COMMAND_MIGRATE},   {"health", COMMAND_HEALTH},
                 {"--help", COMMAND_HELP}, {"--version", COMMAND_VERSION}, {"--manual", COMMAND_MANUAL}};
    struct options options;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(read_line(&options, cases[i].word, NULL, NULL, NULL), ERR_OK);
        assert_int_equal(options.command, cases[i].command);
    }
    assert_int_equal(read_line(&options, "run", "--help", NULL, NULL), ERR_OK);
    assert_int_equal(options.command, COMMAND_HELP);
}

TEST(run_takes_its_options_in_either_spelling)
{
    struct options options;
    assert_int_equal(read_line(&options, "run", "--dry-run", "--side", "gate"), ERR_OK);
    assert_true(options.run.dry_run);
    assert_int_equal(options.run.side, SIDE_GATE);
    assert_int_equal(options.run.trigger, TRIGGER_COMMAND);
    assert_int_equal(read_line(&options, "run", "--side=plane", "--task=42", "--ignore-grace"), ERR_OK);
    assert_false(options.run.dry_run);
    assert_true(options.run.ignore_grace);
    assert_int_equal(options.run.side, SIDE_PLANE);
    assert_string_equal(options.line.values[OPTION_TASK], "42");
}

TEST(health_may_ask_for_readiness)
{
    struct options options;
    assert_int_equal(read_line(&options, "health", NULL, NULL, NULL), ERR_OK);
    assert_false(options.ready);
    assert_int_equal(read_line(&options, "health", "--ready", NULL, NULL), ERR_OK);
    assert_int_equal(options.command, COMMAND_HEALTH);
    assert_true(options.ready);
}

TEST(migrate_may_create_beside_others)
{
    struct options options;
    assert_int_equal(read_line(&options, "migrate", NULL, NULL, NULL), ERR_OK);
    assert_false(options.create);
    assert_int_equal(read_line(&options, "migrate", "--create", NULL, NULL), ERR_OK);
    assert_int_equal(options.command, COMMAND_MIGRATE);
    assert_true(options.create);
}

TEST(what_makes_no_sense_is_refused)
{
    static const char *const bad[][3] = {{"start", NULL, NULL},
                                         {"serve", "--dry-run", NULL},
                                         {"run", "--side", "left"},
                                         {"run", "--side", NULL},
                                         {"run", "--task", NULL},
                                         {"run", "--dry-run=1", NULL},
                                         {"run", "extra", NULL},
                                         {"migrate", "now", NULL},
                                         {"run", "--sidegate", NULL},
                                         {"--port", "1", NULL},
                                         {"", NULL, NULL},
                                         {"run", "--ready", NULL},
                                         {"health", "now", NULL},
                                         {"run", "--create", NULL}};
    struct options options;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(read_line(&options, bad[i][0], bad[i][1], bad[i][2], NULL), ERR_INVALID);
}
