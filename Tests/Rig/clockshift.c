// LD_PRELOAD: clocks that are wrong. CLOCK_REALTIME (and time, gettimeofday) is off by the ordered constant; CLOCK_BOOTTIME,
// which leases are measured by, runs by the ordered parts per million too fast or too slow. It never jumps and never goes
// back, for the kernel's doesn't. CLOCK_MONOTONIC stays true. The orders come from the file which
// HOLDFAST_CLOCKSHIFT_ORDERS names.
#define _GNU_SOURCE
#include "orders.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/time.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))
static const int64_t SECOND = 1000000000;

static struct orders *orders;
static int (*next_clock_gettime)(clockid_t, struct timespec *);
static _Atomic int64_t boot_told_ns;

__attribute__((constructor)) static void begin(void) {
    if (orders) return;
    *(void **)&next_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    orders = orders_from("HOLDFAST_CLOCKSHIFT_ORDERS", "clockshift");
}

static int64_t read_ns(clockid_t clock) {
    struct timespec time = {0};
    next_clock_gettime(clock, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

// The line which the clock runs on: at `boot_at` of the true clock it showed `boot_then`.
static int64_t boot_ns(void) {
    int64_t turn, at, then, rate;
    do {
        turn = atomic_load(&orders->turn);
        at = atomic_load(&orders->boot_at_ns);
        then = atomic_load(&orders->boot_then_ns);
        rate = atomic_load(&orders->boot_rate_ppm);
    } while ((turn & 1) || turn != atomic_load(&orders->turn));
    int64_t now = read_ns(CLOCK_BOOTTIME);
    int64_t shown = then - at + now + (now - at) / 1000000 * rate;
    int64_t told = atomic_load(&boot_told_ns);
    while (shown > told && !atomic_compare_exchange_weak(&boot_told_ns, &told, shown)) {}
    return shown > told ? shown : told;
}

static void put(struct timespec *into, int64_t ns) { *into = (struct timespec){ns / SECOND, ns % SECOND}; }

EXPORT int clock_gettime(clockid_t clock, struct timespec *into) {
    begin();
    if (clock == CLOCK_BOOTTIME) return put(into, boot_ns()), 0;
    int result = next_clock_gettime(clock, into);
    bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    if (result == 0 && wall) put(into, into->tv_sec * SECOND + into->tv_nsec + atomic_load(&orders->real_offset_ns));
    return result;
}

EXPORT int gettimeofday(struct timeval *into, void *zone) {
    (void)zone;
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    *into = (struct timeval){time.tv_sec, time.tv_nsec / 1000};
    return 0;
}

EXPORT time_t time(time_t *into) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (into) *into = now.tv_sec;
    return now.tv_sec;
}
