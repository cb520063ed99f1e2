// Exercises the power cut from inside: `dies` ends by SIGKILL, `found` (run without the shim) judges what is left,
// `model` compares many operations of many threads with a plain array.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    BYTES = 10000,
    MODEL_BYTES = 1 << 19,
    STRIPE = 700,  // not a divisor of a page: threads share pages, and writes straddle them
    THREADS = 4,
    STEPS_THREADED = 4000,
    STEPS_ALONE = 4000,
    CHUNK_MAX = 9000,
};

static int faults;

static void expect(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "probe: not so: %s\n", what);
    faults++;
}

static int at(const char *directory, const char *name, int flags) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int descriptor = open(path, flags, 0644);
    if (descriptor < 0) perror(path), exit(2);
    return descriptor;
}

static off_t size_of(const char *directory, const char *name) {
    char path[4096];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return stat(path, &status) < 0 ? -1 : status.st_size;
}

static int all(int descriptor, size_t count, char byte) {
    char bytes[2 * BYTES];
    if (pread(descriptor, bytes, sizeof bytes, 0) != (ssize_t)count) return 0;
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != byte) return 0;
    return 1;
}

static void dies(const char *directory) {
    char a[BYTES], b[BYTES];
    memset(a, 'a', BYTES), memset(b, 'b', BYTES);
    int file = at(directory, "unsynced", O_RDWR | O_CREAT);
    expect(write(file, a, BYTES) == BYTES, "a write is taken");
    expect(all(file, BYTES, 'a'), "an unsynced write reads back");
    expect(size_of(directory, "unsynced") == BYTES && lseek(file, 0, SEEK_END) == BYTES, "its size shows");

    file = at(directory, "synced", O_RDWR | O_CREAT);
    expect(write(file, a, BYTES) == BYTES && fdatasync(file) == 0, "a synced write");
    expect(pwrite(file, b, BYTES, 0) == BYTES && all(file, BYTES, 'b'), "an overwrite reads back");

    file = at(directory, "cut", O_RDWR | O_CREAT);
    expect(write(file, a, BYTES) == BYTES && fsync(file) == 0 && ftruncate(file, 5) == 0, "a truncation");
    expect(ftruncate(file, BYTES) == 0 && size_of(directory, "cut") == BYTES, "grown again");
    char bytes[BYTES];
    expect(pread(file, bytes, BYTES, 0) == BYTES && bytes[4] == 'a' && bytes[5] == 0, "cut bytes are zeros");

    file = at(directory, "emptied", O_RDWR | O_CREAT);
    expect(write(file, a, BYTES) == BYTES && fsync(file) == 0, "a file to empty");
    file = at(directory, "emptied", O_RDWR | O_TRUNC);
    expect(size_of(directory, "emptied") == 0, "opening with O_TRUNC empties");

    file = at(directory, "dsync", O_RDWR | O_CREAT | O_DSYNC);
    expect(write(file, a, BYTES) == BYTES, "a write with O_DSYNC");
    file = at(directory, "rwf", O_RDWR | O_CREAT);
    struct iovec parts[2] = {{a, 4000}, {a, 6000}};
    expect(pwritev2(file, parts, 2, 0, RWF_DSYNC) == BYTES, "a write with RWF_DSYNC");

    file = at(directory, "other-descriptor", O_RDWR | O_CREAT);
    expect(write(file, a, BYTES) == BYTES && close(file) == 0, "a closed file");
    file = at(directory, "other-descriptor", O_RDWR);
    expect(all(file, BYTES, 'a') && fsync(dup(file)) == 0, "synced by another descriptor");

    file = at(directory, "appended", O_RDWR | O_CREAT | O_APPEND);
    expect(write(file, a, 7) == 7 && pwrite(file, b, 3, 0) == 3 && fdatasync(file) == 0, "appends");
    if (faults) exit(1);
    raise(SIGKILL);
}

static void found(const char *directory) {
    expect(size_of(directory, "unsynced") == 0, "unsynced bytes are gone");
    expect(all(at(directory, "synced", O_RDONLY), BYTES, 'a'), "the synced version is there, the later one is not");
    expect(all(at(directory, "cut", O_RDONLY), BYTES, 'a'), "an unsynced truncation didn't happen");
    expect(all(at(directory, "emptied", O_RDONLY), BYTES, 'a'), "an unsynced O_TRUNC didn't happen");
    expect(all(at(directory, "dsync", O_RDONLY), BYTES, 'a'), "O_DSYNC is durable");
    expect(all(at(directory, "rwf", O_RDONLY), BYTES, 'a'), "RWF_DSYNC is durable");
    expect(all(at(directory, "other-descriptor", O_RDONLY), BYTES, 'a'), "a sync covers the inode, not the descriptor");
    expect(size_of(directory, "appended") == 10, "appends append");
}

static uint8_t model[MODEL_BYTES];
static int model_file;

struct worker {
    unsigned index;
    uint64_t random;
    int faults;
};

static uint64_t draw(uint64_t *state) {
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

// Each thread owns every fourth stripe, so it knows what it must read there whatever the others do.
static void *work(void *argument) {
    struct worker *worker = argument;
    uint8_t bytes[STRIPE];
    for (int step = 0; step < STEPS_THREADED; step++) {
        size_t stripe = draw(&worker->random) % (MODEL_BYTES / STRIPE / THREADS) * THREADS + worker->index;
        size_t start = stripe * STRIPE;
        uint64_t choice = draw(&worker->random) % 400;
        if (choice == 0) {
            if (fdatasync(model_file) < 0) worker->faults++;
        } else if (choice < 200) {
            memset(model + start, (int)draw(&worker->random), STRIPE);
            if (pwrite(model_file, model + start, STRIPE, (off_t)start) != STRIPE) worker->faults++;
        } else {
            if (pread(model_file, bytes, STRIPE, (off_t)start) != STRIPE) worker->faults++;
            if (memcmp(bytes, model + start, STRIPE) != 0) worker->faults++;
        }
    }
    return NULL;
}

static void threaded(uint64_t seed) {
    expect(ftruncate(model_file, MODEL_BYTES) == 0, "the model's size");
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){i, (seed + i + 1) * 0x9e3779b97f4a7c15u, 0};
        if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) exit(2);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        expect(workers[i].faults == 0, "every thread reads its own writes");
    }
}

static size_t step_alone(uint64_t *random, size_t size) {
    static uint8_t bytes[CHUNK_MAX];
    size_t start = draw(random) % (MODEL_BYTES - CHUNK_MAX), count = 1 + draw(random) % CHUNK_MAX;
    uint64_t choice = draw(random) % 1000;
    if (choice < 400) {
        memset(model + start, (int)(1 + draw(random) % 255), count);
        expect(pwrite(model_file, model + start, count, (off_t)start) == (ssize_t)count, "a write is taken whole");
        return start + count > size ? start + count : size;
    }
    if (choice < 900) {
        size_t there = start >= size ? 0 : size - start < count ? size - start : count;
        ssize_t got = pread(model_file, bytes, count, (off_t)start);
        expect(got == (ssize_t)there && memcmp(bytes, model + start, there) == 0, "a read finds the model's bytes");
    } else if (choice < 945) {
        memset(model + start, 0, MODEL_BYTES - start);
        expect(ftruncate(model_file, (off_t)start) == 0, "a resize");
        return start;
    } else if (choice < 990) {
        size_t stop = start + count < size ? start + count : size;
        if (start < stop) memset(model + start, 0, stop - start);
        int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
        expect(fallocate(model_file, mode, (off_t)start, (off_t)count) == 0, "a hole");
    } else {
        expect(fdatasync(model_file) == 0, "a sync");
    }
    return size;
}

static void alone(uint64_t seed, const char *directory) {
    uint64_t random = (seed + 1) * 0x9e3779b97f4a7c15u;
    size_t size = MODEL_BYTES;
    for (int step = 0; step < STEPS_ALONE && faults == 0; step++) {
        size = step_alone(&random, size);
        expect(size_of(directory, "model") == (off_t)size, "the size is the model's");
    }
    FILE *copy = fdopen(at(directory, "../model-expected", O_WRONLY | O_CREAT | O_TRUNC), "w");
    expect(copy && fwrite(model, 1, size, copy) == size && fclose(copy) == 0, "the model is kept for comparison");
}

int main(int count, char **words) {
    if (count < 3) return 2;
    if (strcmp(words[1], "dies") == 0) dies(words[2]);
    else if (strcmp(words[1], "found") == 0) found(words[2]);
    else if (strcmp(words[1], "model") == 0 && count == 4) {
        uint64_t seed = strtoull(words[3], NULL, 10);
        model_file = at(words[2], "model", O_RDWR | O_CREAT);
        threaded(seed);
        alone(seed, words[2]);
    } else return 2;
    return faults ? 1 : 0;
}
