#pragma once

/// One arena for all threads, and what is freed at the heap's end goes back above `trim_bytes`.
void holdfast_keep_heap_small(int trim_bytes);

/// No page of code or constants counts as this process's until it is touched again; it is then found in the
/// page cache, or read from its file.
void holdfast_unmap_code(void);
