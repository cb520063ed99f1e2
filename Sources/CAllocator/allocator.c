#include "allocator.h"

#include <malloc.h>

void holdfast_keep_heap_small(int trim_bytes) {
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_TRIM_THRESHOLD, trim_bytes);
}
