/* NVIDIA's driver as far as plans use it, without a device: one GPU whose primary context lives as long as somebody
   retains it, a stack of contexts for each thread, and memory of the host. What the real one would refuse is refused. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OUT_OF_MEMORY 2
#define INVALID_DEVICE 101
#define INVALID_CONTEXT 201
#define ILLEGAL_ADDRESS 700
#define DESTROYED 709

struct context { int alive; };
static struct context *primary;
static int retained, live; /* live: streams and memory that were not given back */
static int fails_at, calls, dead, captures, launches;
static __thread struct context *stack[64];
static __thread int depth;

static int enter(int wants_context) {
    if (dead && wants_context) return ILLEGAL_ADDRESS;
    if (fails_at && ++calls == fails_at) return OUT_OF_MEMORY;
    if (!wants_context) return 0;
    if (!depth) return INVALID_CONTEXT;
    return stack[depth - 1]->alive ? 0 : DESTROYED;
}
#define ENTER(wants_context) do { int code = enter(wants_context); if (code) return code; } while (0)

int cuInit(unsigned flags) { return 0; }
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int index) { ENTER(0); *device = 0; return index ? INVALID_DEVICE : 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "Fake RTX", length); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 9 : 0;
    return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = (size_t)24 << 30; return 0; }
int cuDevicePrimaryCtxRetain(struct context **context, int device) {
    ENTER(0);
    if (!retained++) { primary = malloc(sizeof *primary); primary->alive = 1; }
    *context = primary;
    return 0;
}
int cuDevicePrimaryCtxRelease_v2(int device) {
    if (!retained) return INVALID_CONTEXT;
    if (!--retained) primary->alive = 0; /* and the threads on which it is current keep it there */
    return 0;
}
int cuCtxPushCurrent_v2(struct context *context) {
    if (!context->alive) return DESTROYED;
    stack[depth++] = context;
    return 0;
}
int cuCtxPopCurrent_v2(struct context **context) {
    if (!depth) return INVALID_CONTEXT;
    *context = stack[--depth];
    return 0;
}
int cuCtxGetCurrent(struct context **context) { *context = depth ? stack[depth - 1] : 0; return 0; }
int cuCtxSynchronize(void) { return enter(1); }
int cuStreamCreate(void **stream, unsigned flags) { ENTER(1); *stream = malloc(1); live++; return flags == 1 ? 0 : 1; }
int cuStreamDestroy_v2(void *stream) { if (!depth) return INVALID_CONTEXT; free(stream); live--; return 0; }
int cuStreamSynchronize(void *stream) { return enter(1); }
int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    ENTER(1);
    *address = (uint64_t)(uintptr_t)malloc(bytes);
    live++;
    return 0;
}
int cuMemFree_v2(uint64_t address) {
    if (!depth) return INVALID_CONTEXT;
    free((void *)(uintptr_t)address);
    live--;
    return 0;
}
int cuMemHostAlloc(void **address, size_t bytes, unsigned flags) { ENTER(1); *address = malloc(bytes); live++; return 0; }
int cuMemFreeHost(void *address) { if (!depth) return INVALID_CONTEXT; free(address); live--; return 0; }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream) {
    ENTER(1);
    memcpy((void *)(uintptr_t)to, from, bytes);
    return 0;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
    ENTER(1);
    memcpy(to, (void *)(uintptr_t)from, bytes);
    return 0;
}
int cuStreamBeginCapture_v2(void *stream, int mode) { ENTER(1); return mode == 1 && captures ? 0 : 801; }
int cuStreamEndCapture(void *stream, void **graph) { *graph = captures ? malloc(1) : 0; live += captures; return !captures; }
int cuGraphInstantiateWithFlags(void **runs, void *graph, unsigned long long flags) {
    ENTER(1);
    *runs = malloc(1);
    live++;
    return 0;
}
int cuGraphDestroy(void *graph) { free(graph); live--; return 0; }
int cuGraphExecDestroy(void *runs) { free(runs); live--; return 0; }
int cuGraphLaunch(void *runs, void *stream) { ENTER(1); launches++; return 0; }
int cuMemGetInfo_v2(size_t *free_bytes, size_t *all) {
    ENTER(1);
    *free_bytes = (size_t)20 << 30;
    *all = (size_t)24 << 30;
    return 0;
}
int cuEventCreate(void **event, unsigned flags) { ENTER(1); *event = calloc(1, sizeof(double)); return 0; }
int cuEventRecord(void *event, void *stream) {
    struct timespec now;
    ENTER(1);
    clock_gettime(CLOCK_MONOTONIC, &now);
    *(double *)event = now.tv_sec * 1e3 + now.tv_nsec / 1e6;
    return 0;
}
int cuEventElapsedTime(float *milliseconds, void *start, void *end) {
    *milliseconds = (float)(*(double *)end - *(double *)start);
    return 0;
}
int cuEventElapsedTime_v2(float *milliseconds, void *start, void *end) {
    return cuEventElapsedTime(milliseconds, start, end);
}
int cuEventDestroy_v2(void *event) { free(event); return 0; }
int cuGetErrorString(int code, const char **words) {
    *words = code == OUT_OF_MEMORY ? "out of memory" : code == DESTROYED ? "context is destroyed"
           : code == INVALID_CONTEXT ? "invalid device context" : code == INVALID_DEVICE ? "invalid device ordinal"
           : code == ILLEGAL_ADDRESS ? "an illegal memory access was encountered" : "error";
    return 0;
}
int cuGetErrorName(int code, const char **name) { return cuGetErrorString(code, name); }

/* For the tests. */
int fake_depth(void) { return depth; }
int fake_retained(void) { return retained; }
int fake_live(void) { return live; }
void fake_fail_at(int call) { fails_at = call; calls = 0; }
int fake_calls(void) { return calls; }
void fake_capture(int can) { captures = can; }
int fake_launches(void) { return launches; }
void fake_die(int now) { dead = now; }
