#pragma once

#include <stddef.h>

/// One arena for all threads, and what is freed at the heap's end goes back above `trim_bytes`.
void holdfast_keep_heap_small(int trim_bytes);

/// At most so many arenas; what has `map_bytes` or more is mapped alone, and goes back when it is freed; what is freed at an
/// arena's end goes back above `trim_bytes`. By default the two limits grow with what is freed.
void holdfast_bound_heap(int arenas, int map_bytes, int trim_bytes);

/// Gives back every whole page that is free, wherever it lies. Who allocates meanwhile waits.
void holdfast_trim_heap(void);

/// Bytes that are free in all arenas, those included that were given back.
size_t holdfast_free_bytes(void);

/// No page of code or constants counts as this process's until it is touched again; it is then found in the
/// page cache, or read from its file.
void holdfast_unmap_code(void);
