/* Arenas: what they give out, and that it is all freed together. */

#include "clients/base/arena.h"
#include "tests/support/test.h"

TEST(arenas_give_zeroed_aligned_memory_of_any_size)
{
    struct arena arena = {0};
    for (size_t size = 1; size < 200000; size = size * 3 + 1) {
        unsigned char *memory = arena_zero(&arena, 1, size);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xff, size);
    }
    arena_done(&arena);
}

TEST(texts_are_copies_and_of_null_there_is_none)
{
    struct arena arena = {0};
    char text[] = "text";
    const char *copy = arena_text(&arena, text);
    text[0] = 'n';
    assert_string_equal(copy, "text");
    assert_string_equal(arena_printf(&arena, "%s-%d", "a", 7), "a-7");
    assert_string_equal(arena_printf(&arena, "%s", ""), "");
    assert_null(arena_text(&arena, NULL));
    arena_done(&arena);
}

TEST(pieces_keep_their_values_when_more_is_given_out)
{
    struct arena arena = {0};
    size_t *pieces[5000];
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        pieces[i] = arena_zero(&arena, 1 + i % 7, sizeof(size_t));
        *pieces[i] = i;
    }
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        assert_int_equal(*pieces[i], i);
    arena_done(&arena);
}

TEST(what_is_given_out_is_counted_until_all_is_freed)
{
    struct arena arena = {0};
    (void)arena_zero(&arena, 3, 100);
    assert_in_range(arena.bytes, 300, 300 + _Alignof(max_align_t));
    (void)arena_zero(&arena, 1, 100000);
    assert_in_range(arena.bytes, 100300, 100300 + 2 * _Alignof(max_align_t));
    arena_done(&arena);
    assert_null(arena.blocks);
    assert_int_equal(arena.bytes, 0);
    assert_string_equal(arena_text(&arena, "again"), "again");
    arena_done(&arena);
}
