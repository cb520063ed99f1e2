// LD_PRELOAD: a disk whose syncs are slow, or fail. Below HOLDFAST_DISKFAULT_DIR every fsync, fdatasync and
// sync_file_range first takes the ordered time; while syncs are to fail, one fsync or fdatasync after the other fails with
// EIO and syncs nothing. The orders come while the program runs, from the file which HOLDFAST_DISKFAULT_ORDERS names.
// Preload it before powercut.so: a sync that fails here then leaves its bytes unsynced there.
#define _GNU_SOURCE
#include "orders.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define LOAD(name) *(void **)&next.name = dlsym(RTLD_NEXT, #name)

static struct orders *orders;
static char watched[PATH_MAX];
static size_t watched_length;
static struct {
    int (*fsync)(int);
    int (*fdatasync)(int);
    int (*sync_file_range)(int, off_t, off_t, unsigned);
} next;

__attribute__((constructor)) static void begin(void) {
    if (orders) return;
    LOAD(fsync), LOAD(fdatasync), LOAD(sync_file_range);
    const char *directory = getenv("HOLDFAST_DISKFAULT_DIR");
    if (!directory || !realpath(directory, watched)) {
        dprintf(2, "diskfault: HOLDFAST_DISKFAULT_DIR must name a directory\n");
        _exit(127);
    }
    watched_length = strlen(watched);
    orders = orders_from("HOLDFAST_DISKFAULT_ORDERS", "diskfault");
}

// The directory itself counts: a rename is synced by its directory.
static bool is_watched(int descriptor) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path);
    if (length < (ssize_t)watched_length || memcmp(path, watched, watched_length) != 0) return false;
    return (size_t)length == watched_length || path[watched_length] == '/';
}

static void take_time(void) {
    int64_t wanted = atomic_load(&orders->sync_delay_ns);
    if (wanted <= 0) return;
    struct timespec left = {wanted / 1000000000, wanted % 1000000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR) {}
}

static bool is_to_fail(void) {
    int64_t left = atomic_load(&orders->syncs_to_fail);
    while (left > 0 && !atomic_compare_exchange_weak(&orders->syncs_to_fail, &left, left - 1)) {}
    if (left > 0) atomic_fetch_add(&orders->syncs_failed, 1);
    return left > 0;
}

static int sync_by(int (*real)(int), int descriptor) {
    if (!is_watched(descriptor)) return real(descriptor);
    take_time();
    if (is_to_fail()) return errno = EIO, -1;
    return real(descriptor);
}

EXPORT int fsync(int descriptor) { return begin(), sync_by(next.fsync, descriptor); }
EXPORT int fdatasync(int descriptor) { return begin(), sync_by(next.fdatasync, descriptor); }

// Never fails here: it is advice, whose failure tells nothing of what is synced.
EXPORT int sync_file_range(int descriptor, off_t at, off_t count, unsigned flags) {
    begin();
    if (is_watched(descriptor)) take_time();
    return next.sync_file_range(descriptor, at, count, flags);
}
