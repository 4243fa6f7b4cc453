/* fuzz_main.c - runs the fuzz target that it is linked with once over each file of the target's corpus, in
 * the order of their names: of fuzz_pipeline, tests/fuzz/corpus/pipeline. libFuzzer has a main of its own. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/base/err.h"
#include "clients/base/text.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX ((size_t)64 * 1024)

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool run(const char *path)
{
    static uint8_t bytes[INPUT_MAX];
    fprintf(stderr, "%s\n", path); /* the last one is the one that ended the program */
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    /* A copy of exactly the size, so that a sanitizer sees a read beyond it. */
    uint8_t *exact = mem_zero(size, 1);
    memcpy(exact, bytes, size);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return true;
}

int main(void)
{
    AUTO_FREE char *folder =
        mem_printf("tests/fuzz/corpus/%s", program_invocation_short_name + strlen("fuzz_"));
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, is_visible, alphasort), passed = 0;
    for (int i = 0; i < n; i++) {
        AUTO_FREE char *path = mem_printf("%s/%s", folder, entries[i]->d_name);
        passed += run(path);
        free(entries[i]);
    }
    free(entries);
    printf("[  PASSED  ] %d test(s).\n", passed); /* as cmocka prints it, for tests/run.sh */
    return n > 0 && passed == n ? 0 : 1;
}
