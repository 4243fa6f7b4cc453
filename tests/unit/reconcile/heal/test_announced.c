/* What was announced is kept, and the oldest of very many dropped. */
#include "clients/base/limits.h"
#include "reconcile/heal/quarantine.h"
#include "tests/support/test.h"

TEST(a_thing_is_said_once)
{
    struct announced *announced = announced_new();
    struct uuid_text a = uuid_from_name("a"), b = uuid_from_name("b");
    assert_false(announced_has(announced, &a));
    announced_add(announced, &a);
    announced_add(announced, &a);
    assert_true(announced_has(announced, &a));
    assert_false(announced_has(announced, &b));
    announced_free(announced);
}

TEST(the_newest_are_remembered)
{
    struct announced *announced = announced_new();
    struct uuid_text first = uuid_new(), second = uuid_new();
    announced_add(announced, &first);
    announced_add(announced, &second);
    for (unsigned i = 0; i < LIMIT_ANNOUNCED - 1; i++) {
        struct uuid_text name = uuid_new();
        announced_add(announced, &name);
    }
    assert_false(announced_has(announced, &first));
    assert_true(announced_has(announced, &second));
    announced_free(announced);
}
