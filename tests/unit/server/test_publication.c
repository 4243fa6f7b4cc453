/* Many writers and readers: a reader never sees a body that is being replaced. */
#include <stdatomic.h>

#include <pthread.h>

#include "clients/base/err.h"
#include "handlers/handler.h"
#include "server/publication.h"
#include "tests/support/test.h"

enum { READERS = 4, WRITERS = 2, VERSIONS = 4000, BODY_MAX = 300 };

struct stress {
    struct publication *publication;
    atomic_bool done;
    _Atomic size_t torn, backwards, reads;
};

/* Body number n: one letter, n times. */
static size_t body_make(unsigned n, char *ret)
{
    size_t len = 1 + n % BODY_MAX;
    memset(ret, 'a' + (int)(n % 26), len);
    return len;
}

static void *write_all(void *arg)
{
    struct stress *stress = arg;
    char body[BODY_MAX];
    for (unsigned n = 0; n < VERSIONS; n++)
        publication_set(stress->publication, body, body_make(n, body));
    return NULL;
}

static void *read_all(void *arg)
{
    struct stress *stress = arg;
    while (!atomic_load(&stress->done)) {
        struct publication_hold hold = publication_acquire(stress->publication);
        size_t same = 1;
        while (same < hold.len && hold.body[same] == hold.body[0])
            same++;
        if (!hold.response || same != hold.len)
            atomic_fetch_add(&stress->torn, 1);
        publication_release(stress->publication, &hold);
        atomic_fetch_add(&stress->reads, 1);
    }
    return NULL;
}

TEST(readers_never_see_a_body_that_is_being_replaced)
{
    struct stress stress = {.publication = publication_new()};
    pthread_t readers[READERS], writers[WRITERS];
    publication_set(stress.publication, "a", 1);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_all, &stress), 0);
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_all, &stress), 0);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&stress.done, true);
    for (size_t i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(stress.torn, 0);
    assert_true(stress.reads > 0);
    publication_free(stress.publication);
}

TEST(a_held_version_stays_while_others_come_and_go)
{
    struct publication *publication = publication_new();
    char body[BODY_MAX];
    publication_set(publication, "first", 5);
    struct publication_hold first = publication_acquire(publication);
    for (unsigned n = 0; n < 100; n++)
        publication_set(publication, body, body_make(n, body));
    assert_memory_equal(first.body, "first", 5);
    publication_release(publication, &first);
    struct publication_hold newest = publication_acquire(publication);
    assert_int_equal(newest.len, body_make(99, body));
    assert_memory_equal(newest.body, body, newest.len);
    publication_release(publication, &newest);
    publication_free(publication);
}

TEST(before_the_first_there_is_nothing)
{
    struct publication *publication = publication_new();
    struct publication_hold hold = publication_acquire(publication);
    assert_null(hold.response);
    publication_release(publication, &hold);
    publication_free(publication);
}
