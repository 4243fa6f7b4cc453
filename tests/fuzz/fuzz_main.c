/* fuzz_main.c - runs a fuzz target where there is no libFuzzer: replays every file of the folders named, and
 * with a number of rounds also mutations of them, the same ones every time.
 *
 *   fuzz_pipeline CORPUS_FOLDER… [-rounds=N]
 * Link it with one fuzz_*.c; with clang -fsanitize=fuzzer leave it out.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/text.h"

#define INPUT_MAX ((size_t)64 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seed {
    uint8_t *data;
    size_t size;
};

static struct seed *seeds;
static size_t n_seeds;

static void seed_add(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    uint8_t *data = mem_zero(INPUT_MAX, 1);
    size_t size = fread(data, 1, INPUT_MAX, file);
    fclose(file);
    seeds = mem_grow(seeds, n_seeds + 1, sizeof *seeds);
    seeds[n_seeds++] = (struct seed){data, size};
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool folder_add(const char *folder)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, is_visible, alphasort);
    for (int i = 0; i < n; i++) {
        AUTO_FREE char *path = mem_printf("%s/%s", folder, entries[i]->d_name);
        seed_add(path);
        free(entries[i]);
    }
    free(entries);
    return n > 0;
}

/* xorshift64: the same numbers on every machine. */
static uint64_t random_state = 0x9e3779b97f4a7c15;

static size_t random_below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return limit ? (size_t)(random_state % limit) : 0;
}

/* Copies up to 32 bytes from anywhere in a seed over, or into, the input. */
static size_t splice(uint8_t *input, size_t size, const struct seed *from, bool insert)
{
    size_t start = random_below(from->size), at = random_below(size + 1), len = 1 + random_below(32);
    if (len > from->size - start)
        len = from->size - start;
    if (size + len > INPUT_MAX)
        return size;
    if (insert)
        memmove(input + at + len, input + at, size - at);
    memcpy(input + at, from->data + start, len);
    return insert ? size + len : at + len > size ? at + len : size;
}

static size_t cut(uint8_t *input, size_t size)
{
    size_t at = random_below(size), len = 1 + random_below(32);
    if (len > size - at)
        len = size - at;
    memmove(input + at, input + at + len, size - at - len);
    return size - len;
}

static size_t mutate(uint8_t *input, size_t size)
{
    static const char marks[] = "{}[]\",:0-9eEtfn\\u. ";
    for (size_t i = 1 + random_below(6); i > 0 && size > 0; i--)
        switch (random_below(5)) {
        case 0:
            input[random_below(size)] ^= (uint8_t)(1u << random_below(8));
            break;
        case 1:
            input[random_below(size)] = (uint8_t)marks[random_below(sizeof marks - 1)];
            break;
        case 2:
            size = cut(input, size);
            break;
        default:
            size = splice(input, size, &seeds[random_below(n_seeds)], random_below(2) == 0);
            break;
        }
    return size;
}

/* A copy of exactly the size, so that a sanitizer sees the first byte beyond it being read. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *exact = mem_zero(size, 1);
    memcpy(exact, data, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

int main(int argc, char **argv)
{
    static const char option[] = "-rounds=";
    int64_t rounds = 0;
    for (int i = 1; i < argc; i++) {
        bool is_option = strncmp(argv[i], option, sizeof option - 1) == 0;
        if (is_option ? !parse_i64(argv[i] + sizeof option - 1, 0, INT64_MAX, &rounds)
                      : !folder_add(argv[i])) {
            fprintf(stderr, "%s: nothing to do with that\n", argv[i]);
            return 2;
        }
    }
    for (size_t i = 0; i < n_seeds; i++)
        run(seeds[i].data, seeds[i].size);
    uint8_t *input = mem_zero(INPUT_MAX, 1);
    for (int64_t i = 0; i < rounds && n_seeds > 0; i++) {
        const struct seed *seed = &seeds[random_below(n_seeds)];
        memcpy(input, seed->data, seed->size);
        run(input, mutate(input, seed->size));
    }
    printf("%zu seeds, %lld mutations\n", n_seeds, (long long)rounds);
    for (size_t i = 0; i < n_seeds; i++)
        free(seeds[i].data);
    free(seeds);
    free(input);
    return n_seeds > 0 ? 0 : 2;
}
