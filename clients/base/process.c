/* proc(5) for the fields. The kernel gives the start in clock ticks since boot, and CLOCK_BOOTTIME gives the
 * boot even if the machine slept. */
#include "clients/base/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "clients/base/metric.h"
#include "clients/base/text.h"

enum { STAT_START_TIME = 22, STATM_RESIDENT = 2 };

static int64_t clock_us(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* As text of less than `size` bytes; false when there is none. */
static bool read_text(const char *path, char *ret, size_t size)
{
    ssize_t len = file_read(path, ret, size - 1);
    ret[len > 0 ? len : 0] = '\0';
    return len > 0;
}

/* The n-th of the numbers that blanks separate, the first being `first`. */
static bool number_at(char *text, int first, int n, int64_t *ret)
{
    char *rest = text, *word = strsep(&rest, " ");
    for (; word && first < n; first++)
        word = strsep(&rest, " ");
    return word && parse_i64(word, 0, INT64_MAX, ret);
}

/* Once: it does not change, though the clocks it is worked out from do. */
static void measure_start(void)
{
    char stat[1024];
    int64_t ticks, per_second = sysconf(_SC_CLK_TCK);
    if (metric_read(METRIC_PROCESS_START_TIME, NULL, NULL))
        return;
    /* The name of the program, in parentheses, may hold anything; the third field follows it. */
    char *name_end = read_text("/proc/self/stat", stat, sizeof stat) ? strrchr(stat, ')') : NULL;
    if (!name_end || !name_end[1] || per_second <= 0 || !number_at(name_end + 2, 3, STAT_START_TIME, &ticks))
        return;
    int64_t age_us = clock_us(CLOCK_BOOTTIME) - ticks * (1000000 / per_second);
    metric_set(METRIC_PROCESS_START_TIME, NULL, clock_wall_us() - age_us);
}

static void measure_memory(void)
{
    char statm[256];
    int64_t pages;
    if (read_text("/proc/self/statm", statm, sizeof statm) && number_at(statm, 1, STATM_RESIDENT, &pages))
        metric_set(METRIC_PROCESS_RESIDENT_MEMORY, NULL, pages * sysconf(_SC_PAGESIZE));
}

static void measure_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metric_set(METRIC_PROCESS_MAX_FDS, NULL, (int64_t)limit.rlim_cur);
    DIR *folder = opendir("/proc/self/fd");
    int64_t n = -1; /* the folder's own */
    if (!folder)
        return;
    for (const struct dirent *entry; (entry = readdir(folder));)
        n += entry->d_name[0] != '.';
    closedir(folder);
    metric_set(METRIC_PROCESS_OPEN_FDS, NULL, n);
}

void process_measure(void)
{
    metric_set(METRIC_PROCESS_CPU_SECONDS, NULL, clock_us(CLOCK_PROCESS_CPUTIME_ID));
    measure_start();
    measure_memory();
    measure_files();
}

void process_open_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0) /* the lowest that is free, which open takes */
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

void process_protect(void)
{
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    (void)setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}
