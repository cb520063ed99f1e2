// LD_PRELOAD: a disk whose cache dies with the process. Under HOLDFAST_POWERCUT_DIR nothing that was written reaches
// the file before fdatasync, fsync, sync or a synchronous write; SIGKILL therefore is a power cut.
#define _GNU_SOURCE
#include "cut.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
// The 64-bit names are the same functions on this platform, and programs call either.
#define ALSO(name, target) extern __typeof__(target) name __attribute__((alias(#target), visibility("default")))

static char watched[PATH_MAX];
static size_t watched_length;
static struct file *files;
static struct file *by_descriptor[DESCRIPTORS_MAX];
static int descriptor_flags[DESCRIPTORS_MAX];
// Which descriptor is which file. Reading and writing hold it shared; opening, closing and duplicating alone.
static pthread_rwlock_t table = PTHREAD_RWLOCK_INITIALIZER;
static _Atomic uint64_t mapped_count;

static struct {
    int (*openat)(int, const char *, int, ...);
    int (*close)(int);
    int (*dup)(int);
    int (*dup3)(int, int, int);
    int (*fcntl)(int, int, ...);
    int (*fsync)(int);
    int (*fdatasync)(int);
    off_t (*lseek)(int, off_t, int);
    int (*fstatat)(int, const char *, struct stat *, int);
    int (*statx)(int, const char *, int, unsigned, struct statx *);
    void *(*mmap)(void *, size_t, int, int, int, off_t);
    int (*fallocate)(int, int, off_t, off_t);
    ssize_t (*read)(int, void *, size_t);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*preadv2)(int, const struct iovec *, int, off_t, int);
    ssize_t (*pwritev2)(int, const struct iovec *, int, off_t, int);
    ssize_t (*readv)(int, const struct iovec *, int);
    ssize_t (*writev)(int, const struct iovec *, int);
    ssize_t (*sendfile)(int, int, off_t *, size_t);
    ssize_t (*copy_file_range)(int, off_t *, int, off_t *, size_t, unsigned);
    void (*sync)(void);
    int (*syncfs)(int);
    void (*_exit)(int) __attribute__((noreturn));
} libc;

#define LOAD(name) *(void **)&libc.name = dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    if (libc.openat) return;
    LOAD(openat), LOAD(close), LOAD(dup), LOAD(dup3), LOAD(fcntl), LOAD(fsync), LOAD(fdatasync), LOAD(lseek);
    LOAD(fstatat), LOAD(statx), LOAD(mmap), LOAD(fallocate), LOAD(read), LOAD(write), LOAD(preadv2), LOAD(pwritev2);
    LOAD(readv), LOAD(writev), LOAD(sendfile), LOAD(copy_file_range), LOAD(sync), LOAD(syncfs), LOAD(_exit);
    *(void **)&cut_real.pread = dlsym(RTLD_NEXT, "pread");
    *(void **)&cut_real.pwrite = dlsym(RTLD_NEXT, "pwrite");
    *(void **)&cut_real.ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    *(void **)&cut_real.fstat = dlsym(RTLD_NEXT, "fstat");
    const char *limit = getenv("HOLDFAST_POWERCUT_BYTES_MAX");
    if (limit) cut_held_bytes_max = strtoull(limit, NULL, 10);
    const char *directory = getenv("HOLDFAST_POWERCUT_DIR");
    if (!directory || !realpath(directory, watched)) {
        // A shim which silently watches nothing would let every test pass.
        dprintf(2, "powercut: HOLDFAST_POWERCUT_DIR must name a directory\n");
        libc._exit(127);
    }
    watched_length = strlen(watched);
}

// An orderly exit is no power cut: the kernel would write the bytes later.
static void write_back(void) {
    pthread_rwlock_rdlock(&table);
    for (struct file *file = files; file; file = file->next) {
        pthread_mutex_lock(&file->lock);
        if (cut_is_dirty(file) && file->owner == getpid()) cut_settle(file);
        pthread_mutex_unlock(&file->lock);
    }
    pthread_rwlock_unlock(&table);
}

__attribute__((destructor)) static void end(void) {
    write_back();
    if (cut_written_through) dprintf(2, "powercut: wrote %llu bytes through: over HOLDFAST_POWERCUT_BYTES_MAX\n",
                                     (unsigned long long)cut_written_through);
    if (mapped_count) dprintf(2, "powercut: %llu shared mappings escaped\n", (unsigned long long)mapped_count);
}

static bool is_watched(int descriptor) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= (ssize_t)watched_length || memcmp(path, watched, watched_length) != 0) return false;
    return path[watched_length] == '/';
}

static struct file *find_inode(dev_t device, ino_t inode) {
    struct file *file = files;
    while (file && (file->device != device || file->inode != inode || file->own < 0)) file = file->next;
    return file;
}

// Callers hold the table alone.
static void leave(int descriptor) {
    struct file *file = by_descriptor[descriptor];
    if (!file) return;
    by_descriptor[descriptor] = NULL;
    if (--file->descriptors > 0) return;
    struct stat status;
    bool gone = cut_real.fstat(file->own, &status) == 0 && status.st_nlink == 0;
    if (gone) cut_discard(file);
    if (cut_is_dirty(file)) return;
    libc.close(file->own);
    struct file **at = &files;
    while (*at != file) at = &(*at)->next;
    *at = file->next;
    pthread_mutex_destroy(&file->lock);
    free(file);
}

static void enter(int descriptor, struct file *file, int flags) {
    leave(descriptor);
    by_descriptor[descriptor] = file;
    descriptor_flags[descriptor] = flags;
    file->descriptors++;
}

static struct file *adopt(int descriptor, const struct stat *status) {
    struct file *file = find_inode(status->st_dev, status->st_ino);
    if (file) return file;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    int own = libc.openat(AT_FDCWD, link, O_RDWR | O_CLOEXEC);
    if (own < 0) own = libc.openat(AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
    file = own < 0 ? NULL : calloc(1, sizeof *file);
    if (!file) return NULL;
    *file = (struct file){.next = files, .device = status->st_dev, .inode = status->st_ino, .own = own};
    pthread_mutex_init(&file->lock, NULL);
    file->size = (uint64_t)status->st_size;
    file->base_end = UINT64_MAX;
    return files = file;
}

static int opened(int descriptor, int flags) {
    if (descriptor < 0 || (flags & O_PATH)) return descriptor;
    struct stat status;
    bool regular = cut_real.fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
    bool ours = regular && is_watched(descriptor);
    int error = 0;
    if (ours) {
        pthread_rwlock_wrlock(&table);
        struct file *file = descriptor < DESCRIPTORS_MAX ? adopt(descriptor, &status) : NULL;
        if (file) {
            enter(descriptor, file, flags);
            pthread_mutex_lock(&file->lock);
            if ((flags & O_TRUNC) && cut_resize(file, 0) < 0) error = errno;
            pthread_mutex_unlock(&file->lock);
        } else {
            error = EMFILE;
        }
        pthread_rwlock_unlock(&table);
    } else if (regular && (flags & O_TRUNC) && cut_real.ftruncate(descriptor, 0) < 0) {
        error = errno;
    }
    if (error == 0) return descriptor;
    libc.close(descriptor);
    errno = error;
    return -1;
}

static int open_any(int at, const char *path, int flags, mode_t mode) {
    begin();
    // Truncation is a write like others, and must not reach the disk before a sync.
    bool writable = (flags & O_ACCMODE) != O_RDONLY;
    int passed = writable && !(flags & O_PATH) ? flags & ~O_TRUNC : flags;
    return opened(libc.openat(at, path, passed, mode), writable ? flags : flags & ~O_TRUNC);
}

static mode_t mode_of(int flags, va_list list) {
    return flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? va_arg(list, mode_t) : 0;
}

EXPORT int open(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return open_any(AT_FDCWD, path, flags, mode);
}
ALSO(open64, open);

EXPORT int openat(int at, const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return open_any(at, path, flags, mode);
}
ALSO(openat64, openat);

EXPORT int creat(const char *path, mode_t mode) {
    return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
ALSO(creat64, creat);
EXPORT int __open_2(const char *path, int flags) { return open_any(AT_FDCWD, path, flags, 0); }
ALSO(__open64_2, __open_2);
EXPORT int __openat_2(int at, const char *path, int flags) { return open_any(at, path, flags, 0); }
ALSO(__openat64_2, __openat_2);

static bool in_table(int descriptor) { return descriptor >= 0 && descriptor < DESCRIPTORS_MAX; }

EXPORT int close(int descriptor) {
    begin();
    if (!in_table(descriptor)) return libc.close(descriptor);
    pthread_rwlock_wrlock(&table);
    leave(descriptor);
    int result = libc.close(descriptor);
    pthread_rwlock_unlock(&table);
    return result;
}

static int duplicated(int from, int to) {
    if (to < 0 || !in_table(from) || !in_table(to) || from == to) return to;
    struct file *file = by_descriptor[from];
    if (file) enter(to, file, descriptor_flags[from]);
    else leave(to);
    return to;
}

EXPORT int dup(int from) {
    begin();
    pthread_rwlock_wrlock(&table);
    int to = duplicated(from, libc.dup(from));
    pthread_rwlock_unlock(&table);
    return to;
}

EXPORT int dup3(int from, int to, int flags) {
    begin();
    pthread_rwlock_wrlock(&table);
    to = duplicated(from, libc.dup3(from, to, flags));
    pthread_rwlock_unlock(&table);
    return to;
}

EXPORT int dup2(int from, int to) {
    begin();
    if (from == to) return libc.fcntl(from, F_GETFD) < 0 ? -1 : to;
    return dup3(from, to, 0);
}

EXPORT int fcntl(int descriptor, int command, ...) {
    begin();
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    bool duplicates = command == F_DUPFD || command == F_DUPFD_CLOEXEC;
    if (!duplicates) return libc.fcntl(descriptor, command, argument);
    pthread_rwlock_wrlock(&table);
    int to = duplicated(descriptor, libc.fcntl(descriptor, command, argument));
    pthread_rwlock_unlock(&table);
    return to;
}
ALSO(fcntl64, fcntl);

// The file behind a descriptor with its lock and the table held; NULL when it is none of ours, with nothing held.
static struct file *take(int descriptor) {
    begin();
    if (!in_table(descriptor)) return NULL;
    pthread_rwlock_rdlock(&table);
    struct file *file = by_descriptor[descriptor];
    if (!file) pthread_rwlock_unlock(&table);
    else pthread_mutex_lock(&file->lock);
    return file;
}

static void give(struct file *file) {
    pthread_mutex_unlock(&file->lock);
    pthread_rwlock_unlock(&table);
}

static ssize_t read_parts(struct file *file, int descriptor, const struct iovec *parts, int count, off_t at) {
    if ((descriptor_flags[descriptor] & O_ACCMODE) == O_WRONLY) return errno = EBADF, -1;
    if (at < 0 || count < 0) return errno = EINVAL, -1;
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t got = cut_read(file, parts[i].iov_base, parts[i].iov_len, (uint64_t)at + (uint64_t)total);
        if (got < 0) return total > 0 ? total : -1;
        total += got;
        if ((size_t)got < parts[i].iov_len) break;
    }
    return total;
}

// pwrite on an O_APPEND descriptor appends on Linux, whatever its offset says (pwrite(2), BUGS).
static ssize_t write_parts(struct file *file, int descriptor, const struct iovec *parts, int count, off_t *at, int how) {
    int flags = descriptor_flags[descriptor];
    if ((flags & O_ACCMODE) == O_RDONLY) return errno = EBADF, -1;
    if ((flags & O_APPEND) || (how & RWF_APPEND)) *at = (off_t)file->size;
    if (*at < 0 || count < 0) return errno = EINVAL, -1;
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t put = cut_write(file, parts[i].iov_base, parts[i].iov_len, (uint64_t)*at + (uint64_t)total);
        if (put < 0) return total > 0 ? total : -1;
        total += put;
    }
    if ((flags & O_DSYNC) || (how & (RWF_DSYNC | RWF_SYNC))) {
        if (cut_settle(file) < 0 || libc.fdatasync(file->own) < 0) return -1;
    }
    return total;
}

EXPORT ssize_t preadv2(int descriptor, const struct iovec *parts, int count, off_t at, int how) {
    struct file *file = take(descriptor);
    if (!file) return libc.preadv2(descriptor, parts, count, at, how);
    bool sequential = at == -1;
    if (sequential) at = libc.lseek(descriptor, 0, SEEK_CUR);
    ssize_t result = read_parts(file, descriptor, parts, count, at);
    if (sequential && result > 0) libc.lseek(descriptor, at + result, SEEK_SET);
    give(file);
    return result;
}
ALSO(preadv64v2, preadv2);

EXPORT ssize_t pwritev2(int descriptor, const struct iovec *parts, int count, off_t at, int how) {
    struct file *file = take(descriptor);
    if (!file) return libc.pwritev2(descriptor, parts, count, at, how);
    bool sequential = at == -1;
    if (sequential) at = libc.lseek(descriptor, 0, SEEK_CUR);
    ssize_t result = write_parts(file, descriptor, parts, count, &at, how);
    if (sequential && result > 0) libc.lseek(descriptor, at + result, SEEK_SET);
    give(file);
    return result;
}
ALSO(pwritev64v2, pwritev2);

static bool is_ours(int descriptor) {
    begin();
    return in_table(descriptor) && __atomic_load_n(&by_descriptor[descriptor], __ATOMIC_ACQUIRE) != NULL;
}

EXPORT ssize_t preadv(int descriptor, const struct iovec *parts, int count, off_t at) {
    if (at < 0) return errno = EINVAL, -1;
    return preadv2(descriptor, parts, count, at, 0);
}
ALSO(preadv64, preadv);
EXPORT ssize_t pwritev(int descriptor, const struct iovec *parts, int count, off_t at) {
    if (at < 0) return errno = EINVAL, -1;
    return pwritev2(descriptor, parts, count, at, 0);
}
ALSO(pwritev64, pwritev);

EXPORT ssize_t pread(int descriptor, void *into, size_t count, off_t at) {
    if (!is_ours(descriptor)) return cut_real.pread(descriptor, into, count, at);
    return preadv(descriptor, &(struct iovec){into, count}, 1, at);
}
ALSO(pread64, pread);
EXPORT ssize_t pwrite(int descriptor, const void *from, size_t count, off_t at) {
    if (!is_ours(descriptor)) return cut_real.pwrite(descriptor, from, count, at);
    return pwritev(descriptor, &(struct iovec){(void *)from, count}, 1, at);
}
ALSO(pwrite64, pwrite);

EXPORT ssize_t read(int descriptor, void *into, size_t count) {
    if (!is_ours(descriptor)) return libc.read(descriptor, into, count);
    return preadv2(descriptor, &(struct iovec){into, count}, 1, -1, 0);
}
EXPORT ssize_t write(int descriptor, const void *from, size_t count) {
    if (!is_ours(descriptor)) return libc.write(descriptor, from, count);
    return pwritev2(descriptor, &(struct iovec){(void *)from, count}, 1, -1, 0);
}
EXPORT ssize_t readv(int descriptor, const struct iovec *parts, int count) {
    if (!is_ours(descriptor)) return libc.readv(descriptor, parts, count);
    return preadv2(descriptor, parts, count, -1, 0);
}
EXPORT ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    if (!is_ours(descriptor)) return libc.writev(descriptor, parts, count);
    return pwritev2(descriptor, parts, count, -1, 0);
}

// The fortified names, which programs built with _FORTIFY_SOURCE call instead.
EXPORT ssize_t __read_chk(int descriptor, void *into, size_t count, size_t room) {
    if (count > room) abort();
    return read(descriptor, into, count);
}
EXPORT ssize_t __pread_chk(int descriptor, void *into, size_t count, off_t at, size_t room) {
    if (count > room) abort();
    return pread(descriptor, into, count, at);
}
ALSO(__pread64_chk, __pread_chk);

EXPORT off_t lseek(int descriptor, off_t offset, int whence) {
    struct file *file = take(descriptor);
    if (!file) return libc.lseek(descriptor, offset, whence);
    off_t size = (off_t)file->size, result;
    if (whence == SEEK_END) result = libc.lseek(descriptor, size + offset, SEEK_SET);
    else if (whence == SEEK_SET || whence == SEEK_CUR) result = libc.lseek(descriptor, offset, whence);
    // A file without holes is always a lawful answer to SEEK_DATA and SEEK_HOLE.
    else if (offset < 0 || offset >= size) result = -1, errno = ENXIO;
    else result = libc.lseek(descriptor, whence == SEEK_DATA ? offset : size, SEEK_SET);
    give(file);
    return result;
}
ALSO(lseek64, lseek);

EXPORT int ftruncate(int descriptor, off_t size) {
    struct file *file = take(descriptor);
    if (!file) return cut_real.ftruncate(descriptor, size);
    int result = size < 0 ? (errno = EINVAL, -1) : cut_resize(file, (uint64_t)size);
    give(file);
    return result;
}
ALSO(ftruncate64, ftruncate);

EXPORT int truncate(const char *path, off_t size) {
    int descriptor = open(path, O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    int result = ftruncate(descriptor, size), error = errno;
    close(descriptor);
    errno = error;
    return result;
}
ALSO(truncate64, truncate);

EXPORT int fallocate(int descriptor, int mode, off_t at, off_t count) {
    struct file *file = take(descriptor);
    if (!file) return libc.fallocate(descriptor, mode, at, count);
    int result = 0;
    off_t size = (off_t)file->size, end = at + count;
    bool keeps = mode & FALLOC_FL_KEEP_SIZE;
    if (at < 0 || count <= 0) {
        result = -1, errno = EINVAL;
    } else if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
        result = -1, errno = EOPNOTSUPP;
    } else {
        if (!keeps && end > size) result = cut_resize(file, (uint64_t)end);
        off_t stop = end < size ? end : size;
        bool zeros = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
        if (zeros && at < stop && result == 0) result = cut_zero(file, (uint64_t)at, (uint64_t)(stop - at));
    }
    give(file);
    return result;
}
ALSO(fallocate64, fallocate);

EXPORT int posix_fallocate(int descriptor, off_t at, off_t count) {
    return fallocate(descriptor, 0, at, count) == 0 ? 0 : errno;
}
ALSO(posix_fallocate64, posix_fallocate);

// The disk's sync runs without our locks: a slow disk must not stop the program's other threads.
static int settle(int descriptor) {
    struct file *file = take(descriptor);
    if (!file) return 0;
    int result = cut_settle(file);
    give(file);
    return result;
}

EXPORT int fsync(int descriptor) { return settle(descriptor) < 0 ? -1 : libc.fsync(descriptor); }
EXPORT int fdatasync(int descriptor) { return settle(descriptor) < 0 ? -1 : libc.fdatasync(descriptor); }
EXPORT void sync(void) {
    begin();
    write_back();
    libc.sync();
}
EXPORT int syncfs(int descriptor) {
    begin();
    write_back();
    return libc.syncfs(descriptor);
}
// Starts write-out but promises nothing (sync_file_range(2), WARNING), so nothing is what it does.
EXPORT int sync_file_range(int descriptor, off64_t at, off64_t count, unsigned flags) {
    if (is_ours(descriptor)) return 0;
    return (int)syscall(SYS_sync_file_range, descriptor, at, count, flags);
}

static void correct(struct stat *status) {
    if (!S_ISREG(status->st_mode)) return;
    pthread_rwlock_rdlock(&table);
    struct file *file = find_inode(status->st_dev, status->st_ino);
    if (file) status->st_size = (off_t)__atomic_load_n(&file->size, __ATOMIC_RELAXED);
    pthread_rwlock_unlock(&table);
}

EXPORT int fstatat(int at, const char *path, struct stat *status, int flags) {
    begin();
    int result = libc.fstatat(at, path, status, flags);
    if (result == 0) correct(status);
    return result;
}
EXPORT int fstat(int descriptor, struct stat *status) {
    begin();
    int result = cut_real.fstat(descriptor, status);
    if (result == 0) correct(status);
    return result;
}
EXPORT int stat(const char *path, struct stat *status) { return fstatat(AT_FDCWD, path, status, 0); }
EXPORT int lstat(const char *path, struct stat *status) {
    return fstatat(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}
_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "both names mean one function");
EXPORT int fstatat64(int at, const char *path, struct stat64 *status, int flags) {
    return fstatat(at, path, (struct stat *)status, flags);
}
EXPORT int fstat64(int descriptor, struct stat64 *status) { return fstat(descriptor, (struct stat *)status); }
EXPORT int stat64(const char *path, struct stat64 *status) { return stat(path, (struct stat *)status); }
EXPORT int lstat64(const char *path, struct stat64 *status) { return lstat(path, (struct stat *)status); }

EXPORT int statx(int at, const char *path, int flags, unsigned mask, struct statx *status) {
    begin();
    int result = libc.statx(at, path, flags, mask | STATX_INO | STATX_TYPE, status);
    if (result < 0 || !S_ISREG(status->stx_mode)) return result;
    pthread_rwlock_rdlock(&table);
    dev_t device = (dev_t)(((uint64_t)(status->stx_dev_major & 0xfffff000) << 32) |
                           ((uint64_t)(status->stx_dev_major & 0xfff) << 8) |
                           ((uint64_t)(status->stx_dev_minor & 0xffffff00) << 12) | (status->stx_dev_minor & 0xff));
    struct file *file = find_inode(device, status->stx_ino);
    if (file) status->stx_size = __atomic_load_n(&file->size, __ATOMIC_RELAXED);
    pthread_rwlock_unlock(&table);
    return result;
}

// A mapping sees the disk, not what is held: what is held is written out first. The first escape is told at once,
// because a killed process has no exit to tell it at.
EXPORT void *mmap(void *where, size_t count, int protection, int flags, int descriptor, off_t at) {
    struct file *file = (flags & MAP_ANONYMOUS) ? NULL : take(descriptor);
    if (file) {
        cut_settle(file);
        if ((flags & MAP_SHARED) && (protection & PROT_WRITE) && mapped_count++ == 0)
            dprintf(2, "powercut: a shared mapping escapes\n");
        give(file);
    }
    return (void *)syscall(SYS_mmap, where, count, protection, flags, descriptor, at);
}
ALSO(mmap64, mmap);

// Callers of these must fall back to read and write anyway; both errors are the documented signal for it.
EXPORT ssize_t sendfile(int to, int from, off_t *at, size_t count) {
    if (is_ours(to) || is_ours(from)) return errno = EINVAL, -1;
    return libc.sendfile(to, from, at, count);
}
ALSO(sendfile64, sendfile);
EXPORT ssize_t copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t count, unsigned flags) {
    if (is_ours(to) || is_ours(from)) return errno = EXDEV, -1;
    return libc.copy_file_range(from, from_at, to, to_at, count, flags);
}

EXPORT void _exit(int code) {
    begin();
    write_back();
    libc._exit(code);
}
ALSO(_Exit, _exit);
