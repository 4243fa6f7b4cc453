/* test.h - a test program of cmocka that lists its tests by defining them.
 *
 *   TEST(name) { … }                        a test; its parameter is `void **state`, as cmocka has it
 *   TEST_WITH(name, set_up, tear_down) { … } the same between these two; either may be NULL
 *   TEST_GROUP(set_up, tear_down)           at most once: what runs before the first test and after the last
 *
 * Tests run in the order in which they stand. main is in test.c. */
#ifndef RECONCILED_TESTS_TEST_H
#define RECONCILED_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEST(name) TEST_WITH(name, NULL, NULL)
#define TEST_WITH(name, set_up, tear_down)                                    \
    static void name(void **state);                                           \
    __attribute__((constructor)) static void name##_is_listed(void)           \
    {                                                                         \
        test_add(&(struct CMUnitTest){#name, name, set_up, tear_down, NULL}); \
    }                                                                         \
    static void name(void **state __attribute__((unused)))
#define TEST_GROUP(set_up, tear_down)                                \
    __attribute__((constructor)) static void test_group_is_set(void) \
    {                                                                \
        test_group(set_up, tear_down);                               \
    }

void test_add(const struct CMUnitTest *test);
void test_group(CMFixtureFunction set_up, CMFixtureFunction tear_down);

#endif
