/* The settings as --help prints them. */

#include "clients/base/err.h"
#include "reconcile/settings/settings_table.h"
#include "server/settings_help.h"
#include "tests/support/test.h"

TEST(help_names_every_setting_within_100_columns)
{
    AUTO_FREE char *help = settings_help();
    for (const struct setting *row = settings_table(); row->name; row++) {
        AUTO_FREE char *start = mem_printf("\n  %s ", row->name);
        const char *at = strstr(help, start);
        assert_non_null(at);
        assert_null(strstr(at + 1, start));
    }
    for (const char *line = help; *line;) {
        size_t len = strcspn(line, "\n"), columns = 0;
        for (size_t i = 0; i < len; i++)
            columns += ((unsigned char)line[i] & 0xc0) != 0x80;
        assert_true(columns <= 100);
        assert_true(len == 0 || line[len - 1] != ' ');
        line += len + 1;
    }
    assert_non_null(strstr(help, " 1 to 86400; at run time interval_s; default 60\n"));
}
