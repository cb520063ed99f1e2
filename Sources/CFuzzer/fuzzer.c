#include "holdfast_fuzzer.h"

#ifdef FUZZER

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, holdfast_fuzz_one one);

#if !defined(__has_feature) || !__has_feature(address_sanitizer)
/// libFuzzer's -malloc_limit_mb sees nothing without a sanitizer's allocator, so this stands before
/// glibc's. Only what allocates anew: what else grows does so by one of these.
static const size_t limit = (size_t)64 << 20;

void *__libc_malloc(size_t count);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t count);
void *__libc_memalign(size_t alignment, size_t count);

static size_t lawful(size_t count) {
    if (count > limit) {
        fprintf(stderr, "== an allocation of %zu bytes: at most %zu are lawful\n", count, limit);
        abort();
    }
    return count;
}

void *malloc(size_t count) { return __libc_malloc(lawful(count)); }

void *calloc(size_t count, size_t size) {
    size_t whole;
    if (__builtin_mul_overflow(count, size, &whole)) whole = SIZE_MAX;
    lawful(whole);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t count) { return __libc_realloc(old, lawful(count)); }

void *aligned_alloc(size_t alignment, size_t count) {
    return __libc_memalign(alignment, lawful(count));
}

int posix_memalign(void **place, size_t alignment, size_t count) {
    void *made = __libc_memalign(alignment, lawful(count));
    if (made == NULL) return ENOMEM;
    *place = made;
    return 0;
}
#endif

int holdfast_fuzz(int argc, char **argv, holdfast_fuzz_one one) {
    return LLVMFuzzerRunDriver(&argc, &argv, one);
}

#else

int holdfast_fuzz(int argc, char **argv, holdfast_fuzz_one one) {
    (void)argc, (void)argv, (void)one;
    return -1;
}

#endif
