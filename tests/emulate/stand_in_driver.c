/* A CUDA driver for machines without a card: tests only.

   Device memory is host memory. A launch is handed to Python, which runs the kernel's emulation; while a stream is
   being captured, it is written down instead, and a launch of the graph runs what was written down. What a library
   asks for beyond this succeeds and does nothing. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default"))) int
typedef unsigned int u32;
typedef uint64_t u64;

/* What Python sets. graph: 0 for a plain launch, or the number of the graph that the launch becomes a part of. */
typedef void (*launch_function)(const char *kernel, const u32 *sizes, void **arguments, u64 graph);
typedef void (*replay_function)(u64 graph);
__attribute__((visibility("default"))) launch_function on_launch;
__attribute__((visibility("default"))) replay_function on_replay;
__attribute__((visibility("default"))) int can_capture = 1;
__attribute__((visibility("default"))) int64_t allocations;

enum { OK = 0, NOT_SUPPORTED = 801, NOT_FOUND = 500 };
enum { NAMES = 4096, GRAPHS = 4096 };

static char context_object, *names[NAMES];
static void *current;
static u64 kernels, handles = 0x1000000, graphs, capturing;

static void *new_handle(void) { return (void *)(handles += 64); }

/* ---------------------------------------------------------------- the device */

API cuInit(u32 flags) { return OK; }
API cuDriverGetVersion(int *version) { *version = 13000; return OK; }
API cuDeviceGetCount(int *count) { *count = 1; return OK; }
API cuDeviceGet(int *device, int number) { *device = 0; return OK; }
API cuDeviceGetName(char *name, int size, int device) { snprintf(name, size, "stand-in"); return OK; }
API cuDeviceGetUuid_v2(char *uuid, int device) { memset(uuid, 7, 16); return OK; }
API cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = 8ull << 30; return OK; }
API cuDeviceGetAttribute(int *value, int attribute, int device)
{
    switch (attribute) {
    case 1: case 2: case 3: *value = 1024; break;      /* threads in a block; its x; its y */
    case 4: *value = 64; break;                        /* its z */
    case 5: *value = 2147483647; break;                /* the grid's x */
    case 6: case 7: *value = 65535; break;             /* its y; its z */
    case 8: *value = 49152; break;                     /* bytes of shared memory */
    case 10: *value = 32; break;                       /* threads in a warp */
    case 12: *value = 65536; break;                    /* registers */
    case 16: *value = 132; break;                      /* multiprocessors */
    case 39: *value = 2048; break;                     /* threads in a multiprocessor */
    case 41: *value = 1; break;                        /* one address space for host and device */
    case 75: *value = 9; break;                        /* compute capability 9.0 */
    default: *value = 0;
    }
    return OK;
}
API cuDevicePrimaryCtxRetain(void **context, int device) { *context = &context_object; return OK; }
API cuDevicePrimaryCtxGetState(int device, u32 *flags, int *active) { *flags = 0; *active = current != 0; return OK; }
API cuCtxGetCurrent(void **context) { *context = current; return OK; }
API cuCtxSetCurrent(void *context) { current = context; return OK; }
API cuCtxPushCurrent_v2(void *context) { current = context; return OK; }
API cuCtxPopCurrent_v2(void **context) { if (context) *context = current; current = 0; return OK; }
API cuCtxGetDevice(int *device) { *device = 0; return OK; }
API cuGetErrorName(int error, const char **name) { *name = "CUDA_ERROR_NOT_SUPPORTED"; return OK; }
API cuGetErrorString(int error, const char **text) { *text = "not supported by the stand-in"; return OK; }

/* ---------------------------------------------------------------- memory */

API cuMemGetInfo_v2(size_t *left, size_t *all) { *left = *all = 8ull << 30; return OK; }
API cuMemAlloc_v2(u64 *address, size_t bytes)
{
    allocations++;
    *address = (u64)aligned_alloc(256, (bytes + 255) / 256 * 256);
    return OK;
}
API cuMemFree_v2(u64 address) { free((void *)address); return OK; }
API cuMemHostAlloc(void **address, size_t bytes, u32 flags) { *address = malloc(bytes); return OK; }
API cuMemFreeHost(void *address) { free(address); return OK; }
API cuMemcpyHtoD_v2(u64 to, const void *from, size_t bytes) { memcpy((void *)to, from, bytes); return OK; }
API cuMemcpyDtoH_v2(void *to, u64 from, size_t bytes) { memcpy(to, (void *)from, bytes); return OK; }
API cuMemcpyDtoD_v2(u64 to, u64 from, size_t bytes) { memmove((void *)to, (void *)from, bytes); return OK; }
API cuMemcpyHtoDAsync_v2(u64 to, const void *from, size_t bytes, void *stream) { return cuMemcpyHtoD_v2(to, from, bytes); }
API cuMemcpyDtoHAsync_v2(void *to, u64 from, size_t bytes, void *stream) { return cuMemcpyDtoH_v2(to, from, bytes); }
API cuMemcpyDtoDAsync_v2(u64 to, u64 from, size_t bytes, void *stream) { return cuMemcpyDtoD_v2(to, from, bytes); }

/* ---------------------------------------------------------------- kernels */

static void *named(const char *name)
{
    kernels = (kernels + 1) % NAMES;
    names[kernels] = strdup(name);
    return &names[kernels];
}
API cuModuleLoadDataEx(void **module, const void *image, u32 n, void *options, void *values)
{
    *module = new_handle();
    return OK;
}
API cuModuleGetFunction(void **function, void *module, const char *name) { *function = named(name); return OK; }
API cuLibraryLoadData(void **library, const void *image, void *a, void *b, u32 n, void *c, void *d, u32 m)
{
    *library = new_handle();
    return OK;
}
API cuLibraryGetKernel(void **kernel, void *library, const char *name) { *kernel = named(name); return OK; }
API cuLibraryGetModule(void **module, void *library) { *module = new_handle(); return OK; }
API cuKernelGetFunction(void **function, void *kernel) { *function = kernel; return OK; }
API cuFuncGetAttribute(int *value, int attribute, void *f) { *value = attribute == 0 ? 1024 : 0; return OK; }
API cuKernelGetAttribute(int *value, int attribute, void *f, int device) { *value = attribute == 0 ? 1024 : 0; return OK; }
API cuLaunchKernelEx(const u32 *sizes, char **kernel, void **arguments, void **extra)
{
    on_launch(*kernel, sizes, arguments, capturing); /* sizes: the grid's x, y, z, then a block's */
    return OK;
}
API cuLaunchKernel(char **kernel, u32 gx, u32 gy, u32 gz, u32 x, u32 y, u32 z, u32 shared, void *stream, void **arguments)
{
    u32 sizes[6] = {gx, gy, gz, x, y, z};
    return cuLaunchKernelEx(sizes, kernel, arguments, 0);
}

/* ---------------------------------------------------------------- streams and graphs */

API cuStreamCreate(void **stream, u32 flags) { *stream = new_handle(); return OK; }
API cuStreamCreateWithPriority(void **stream, u32 flags, int priority) { *stream = new_handle(); return OK; }
API cuStreamGetCtx(void *stream, void **context) { *context = &context_object; return OK; }
API cuEventCreate(void **event, u32 flags) { *event = new_handle(); return OK; }
API cuGraphCreate(void **graph, u32 flags) { *graph = (void *)++graphs; return OK; }
API cuStreamBeginCaptureToGraph(void *stream, void *graph, void *after, void *edges, size_t count, int mode)
{
    if (!can_capture) return NOT_SUPPORTED;
    capturing = (u64)graph;
    return OK;
}
API cuStreamBeginCapture_v2(void *stream, int mode)
{
    return cuStreamBeginCaptureToGraph(stream, (void *)++graphs, 0, 0, 0, mode);
}
API cuStreamEndCapture(void *stream, void **graph) { *graph = (void *)capturing; capturing = 0; return OK; }
API cuStreamIsCapturing(void *stream, int *state) { *state = capturing != 0; return OK; }
API cuStreamGetCaptureInfo_v3(void *stream, int *state, u64 *id, void **graph)
{
    *state = capturing != 0;
    if (id) *id = capturing;
    if (graph) *graph = (void *)capturing;
    return OK;
}
API cuStreamGetCaptureInfo_v2(void *stream, int *state, u64 *id, void **graph)
{
    return cuStreamGetCaptureInfo_v3(stream, state, id, graph);
}
API cuGraphClone(void **clone, void *graph) { *clone = graph; return OK; }
API cuGraphInstantiateWithFlags(void **run, void *graph, u64 flags) { *run = graph; return OK; }
API cuGraphInstantiateWithParams(void **run, void *graph, char *parameters)
{
    *run = graph;
    if (parameters) memset(parameters + 24, 0, 4); /* the result: success */
    return OK;
}
API cuGraphLaunch(void *run, void *stream) { on_replay((u64)run); return OK; }

/* ---------------------------------------------------------------- how libraries find all this */

static int nothing(void) { return OK; }

API cuGetProcAddress_v2(const char *name, void **address, int version, u64 flags, int *state)
{
    static void *self;
    static const char *suffixes[] = {"_v2", "", "_v3"};
    char symbol[200];
    Dl_info here;
    if (!self && dladdr((void *)&nothing, &here)) self = dlopen(here.dli_fname, RTLD_NOW);
    *address = 0;
    for (int i = 0; i < 3 && !*address; i++) {
        snprintf(symbol, sizeof symbol, "%s%s", name, suffixes[i]);
        *address = dlsym(self, symbol);
    }
    if (!*address) {
        if (getenv("STAND_IN_SAYS")) fprintf(stderr, "stand-in: %s\n", name);
        *address = (void *)nothing;
    }
    if (state) *state = 0;
    return OK;
}
API cuGetProcAddress(const char *name, void **address, int version, u64 flags)
{
    return cuGetProcAddress_v2(name, address, version, flags, 0);
}
