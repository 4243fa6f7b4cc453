/* What was said is remembered, and the oldest of very many forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clients/base/limits.h"
#include "reconcile/heal/announced.h"

static void a_thing_is_said_once(void **state)
{
    (void)state;
    struct once *once = once_new();
    struct uuid_text a = uuid_from_name("a"), b = uuid_from_name("b");
    assert_false(once_said(once, &a));
    once_say(once, &a);
    once_say(once, &a);
    assert_true(once_said(once, &a));
    assert_false(once_said(once, &b));
    once_free(once);
}

static void the_newest_are_remembered(void **state)
{
    (void)state;
    struct once *once = once_new();
    struct uuid_text first = uuid_new(), second = uuid_new();
    once_say(once, &first);
    once_say(once, &second);
    for (unsigned i = 0; i < LIMIT_ONCE - 1; i++) {
        struct uuid_text name = uuid_new();
        once_say(once, &name);
    }
    assert_false(once_said(once, &first));
    assert_true(once_said(once, &second));
    once_free(once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thing_is_said_once),
        cmocka_unit_test(the_newest_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
