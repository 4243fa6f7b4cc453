/* The names of a started issue. */
#include "clients/base/err.h"
#include "reconcile/settings/work_item.h"
#include "tests/support/test.h"

static void branch_is(const char *title, const char *expected)
{
    AUTO_FREE char *branch = work_item_branch("ORCH", 44, title);
    assert_string_equal(branch, expected);
}

TEST(test_a_title_becomes_a_slug)
{
    branch_is("Basket keeps its items", "feature/ORCH-44-basket-keeps-its-items");
    branch_is("  --Fix: the  API/v2 (again!)..  ", "feature/ORCH-44-fix-the-api-v2-again");
    branch_is("a", "feature/ORCH-44-a");
    branch_is("Caf\xc3\xa9 \xf0\x9f\x98\x80 2", "feature/ORCH-44-caf-2");
}

TEST(test_a_title_without_letters_gives_no_slug)
{
    branch_is("", "feature/ORCH-44");
    branch_is(NULL, "feature/ORCH-44");
    branch_is("\xd0\x9a\xd0\xbe\xd1\x80\xd0\xb7\xd0\xb8\xd0\xbd\xd0\xb0", "feature/ORCH-44");
    branch_is("../..@{}~^:?*[\\", "feature/ORCH-44");
    branch_is("\xff\xfe\x01\x7f", "feature/ORCH-44");
}

TEST(test_a_long_title_is_cut_between_words)
{
    branch_is("0123456789 0123456789 0123456789 0123456789 abcd efgh",
              "feature/ORCH-44-0123456789-0123456789-0123456789-0123456789-abcd");
    branch_is("0123456789 0123456789 0123456789 0123456789 abcde",
              "feature/ORCH-44-0123456789-0123456789-0123456789-0123456789");
    branch_is("0123456789012345678901234567890123456789012345678901234567890",
              "feature/ORCH-44-012345678901234567890123456789012345678901234567");
}

/* No title whatever makes a name that git refuses. */
TEST(test_every_byte_is_safe)
{
    for (int c = 1; c < 256; c++) {
        const char title[] = {'x', (char)c, (char)c, '.', 'l', 'o', 'c', 'k', (char)c, '\0'};
        AUTO_FREE char *branch = work_item_branch("P", 1, title);
        assert_int_equal(strspn(branch + strlen("feature/P-1"), "abcdefghijklmnopqrstuvwxyz0123456789-"),
                         strlen(branch) - strlen("feature/P-1"));
        assert_int_not_equal(branch[strlen(branch) - 1], '-');
        assert_null(strstr(branch, "--"));
    }
}

TEST(test_any_prefix_of_plane_makes_a_branch)
{
    AUTO_FREE char *spaced = work_item_branch("A B/~[\\_", 7, "x");
    assert_string_equal(spaced, "feature/A-B----_-7-x");
    AUTO_FREE char *far = work_item_branch("ЗАДАЧИ", 7, "x");
    assert_string_equal(far, "feature/ЗАДАЧИ-7-x");
}

TEST(test_an_id_has_the_prefix_before_its_number)
{
    assert_true(work_item_has_prefix("ORCH-44", "ORCH"));
    assert_true(work_item_has_prefix("orch-44", "ORCH"));
    assert_true(work_item_has_prefix("задачи-1", "ЗАДАЧИ"));
    assert_false(work_item_has_prefix("ORCH-44", "ORC"));
    assert_false(work_item_has_prefix("ORCH-", "ORCH"));
    assert_false(work_item_has_prefix("ORCH-4x", "ORCH"));
    assert_false(work_item_has_prefix("ORCH", "ORCH"));
    assert_false(work_item_has_prefix("ORCH-1-44", "ORCH"));
}

TEST(test_the_id_is_prefix_and_number)
{
    AUTO_FREE char *id = work_item_id("ORCH", 44);
    assert_string_equal(id, "ORCH-44");
}
