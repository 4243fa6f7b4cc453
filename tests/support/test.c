#include "tests/support/test.h"

static struct CMUnitTest tests[200];
static size_t n_tests;
static CMFixtureFunction group_set_up, group_tear_down;

void test_add(const struct CMUnitTest *test)
{
    if (n_tests == sizeof tests / sizeof *tests)
        abort();
    tests[n_tests++] = *test;
}

void test_group(CMFixtureFunction set_up, CMFixtureFunction tear_down)
{
    group_set_up = set_up;
    group_tear_down = tear_down;
}

int main(void)
{
    return _cmocka_run_group_tests("tests", tests, n_tests, group_set_up, group_tear_down);
}
