/* dnnl.c — calls into oneDNN that are the same in 2.x and 3.x: running products and convolutions.
 *
 * Everything that a run needs is made by create(): a run only points handles at memory. The library
 * itself makes a few short-lived allocations per call, which no interface of it avoids. */
#include "kernels/host/dnnl_api.h"

#include <dlfcn.h>
#include <string.h>

struct spw_dnnl {
    const struct spw_world *world;
    dnnl_engine_t engine;
    void (*set_threads)(int threads); /* of the library's OpenMP; NULL if it has none */
};

enum spw_status spw_dnnl_fail(struct spw_error *error, int code, const char *what)
{
    if (code == dnnl_out_of_memory) {
        return SPW_FAIL_NATIVE(error, SPW_ERR_NO_MEMORY, code, "oneDNN found no memory for %s",
                               what);
    }
    return SPW_FAIL_NATIVE(error, SPW_ERR_DEVICE, code, "oneDNN failed at %s: status %d (%s)", what,
                           code,
                           code == dnnl_unimplemented       ? "unimplemented"
                           : code == dnnl_invalid_arguments ? "invalid arguments"
                                                            : "see dnnl_status_t");
}

/* The OpenMP run time that the library was linked with, whichever it is, sets threads per calling
 * thread; linking one ourselves could bring in a second. */
static void find_set_threads(struct spw_dnnl *dnnl)
{
    void *symbol = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
    memcpy(&dnnl->set_threads, &symbol, sizeof symbol);
}

enum spw_status spw_dnnl_create(const struct spw_world *world, struct spw_error *error,
                                struct spw_dnnl **out)
{
    struct spw_dnnl *dnnl;
    SPW_TRY(spw_allocate(world, 1, sizeof *dnnl, "the matrix library's handle", error, &dnnl));
    dnnl->world = world;
    int code = (int)dnnl_engine_create(&dnnl->engine, dnnl_cpu, 0);
    if (code != 0) {
        spw_release(world, dnnl);
        return spw_dnnl_fail(error, code, "opening the CPU");
    }
    find_set_threads(dnnl);
    if (DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_OMP && dnnl->set_threads == NULL) {
        spw_dnnl_destroy(dnnl);
        return SPW_FAIL(error, SPW_ERR_DEVICE,
                        "oneDNN uses OpenMP, but omp_set_num_threads cannot be found");
    }
    *out = dnnl;
    return SPW_OK;
}

void spw_dnnl_destroy(struct spw_dnnl *dnnl)
{
    if (dnnl != NULL) {
        dnnl_engine_destroy(dnnl->engine);
        spw_release(dnnl->world, dnnl);
    }
}

static void use_one_thread(const struct spw_dnnl *dnnl)
{
    if (dnnl->set_threads != NULL) {
        dnnl->set_threads(1);
    }
}

int spw_dnnl_product(const struct spw_dnnl *dnnl, const struct spw_dnnl_product *p)
{
    use_one_thread(dnnl);
    return (int)dnnl_sgemm(p->transpose_a ? 'T' : 'N', p->transpose_b ? 'T' : 'N', p->m, p->n, p->k,
                           1.0f, p->a, p->lda, p->b, p->ldb, p->beta, p->c, p->ldc);
}

/* What one thread points at its operands. */
struct handles {
    dnnl_stream_t stream;
    dnnl_memory_t plain[SPW_DNNL_TENSORS], packed[SPW_DNNL_TENSORS];
    dnnl_memory_t bias, scratch;
};

struct spw_dnnl_conv {
    const struct spw_dnnl *dnnl;
    uint32_t threads;
    enum spw_dnnl_conv_pass pass;
    bool bias;
    dnnl_primitive_desc_t description; /* owns the layouts */
    dnnl_primitive_t primitive;
    const void *layouts[SPW_DNNL_TENSORS];
    const void *bias_layout, *scratch_layout;
    dnnl_primitive_t reorders[SPW_DNNL_TENSORS]; /* NULL where the layout is plain */
    struct handles handles[];                    /* one per thread */
};

/* The names under which the library knows the operands of a pass. */
struct naming {
    dnnl_query_t query[SPW_DNNL_TENSORS];
    int argument[SPW_DNNL_TENSORS];
    int bias_argument;
    enum spw_dnnl_tensor output;
};
static const struct naming namings[] = {
    [SPW_DNNL_FORWARD] = {{dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md},
                          {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                          DNNL_ARG_BIAS,
                          SPW_DNNL_Y},
    [SPW_DNNL_BACKWARD_DATA] = {{dnnl_query_diff_src_md, dnnl_query_weights_md,
                                 dnnl_query_diff_dst_md},
                                {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                                0,
                                SPW_DNNL_X},
    [SPW_DNNL_BACKWARD_WEIGHTS] = {{dnnl_query_src_md, dnnl_query_diff_weights_md,
                                    dnnl_query_diff_dst_md},
                                   {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
                                   DNNL_ARG_DIFF_BIAS,
                                   SPW_DNNL_W},
};

#define DNNL_TRY(expression)                                                                       \
    do {                                                                                           \
        int try_code_ = (int)(expression);                                                         \
        if (try_code_ != 0) {                                                                      \
            return try_code_;                                                                      \
        }                                                                                          \
    } while (0)

/* Backward passes want to see the forward pass, from which they take hints only. */
static int describe(dnnl_engine_t engine, const struct spw_dnnl_conv_shape *shape,
                    enum spw_dnnl_conv_pass pass, dnnl_primitive_attr_t attributes,
                    dnnl_primitive_desc_t *out)
{
    if (pass == SPW_DNNL_FORWARD) {
        return spw_dnnl_describe_conv(engine, shape, pass, attributes, NULL, out);
    }
    dnnl_primitive_desc_t forward;
    DNNL_TRY(spw_dnnl_describe_conv(engine, shape, SPW_DNNL_FORWARD, attributes, NULL, &forward));
    int code = spw_dnnl_describe_conv(engine, shape, pass, attributes, forward, out);
    dnnl_primitive_desc_destroy(forward);
    return code;
}

static int make_primitive(struct spw_dnnl_conv *conv, const struct spw_dnnl_conv_shape *shape)
{
    dnnl_primitive_attr_t attributes;
    DNNL_TRY(dnnl_primitive_attr_create(&attributes));
    const dnnl_scratchpad_mode_t ours = dnnl_scratchpad_mode_user;
    int code = (int)dnnl_primitive_attr_set_scratchpad_mode(attributes, ours);
    if (code == 0) {
        code = describe(conv->dnnl->engine, shape, conv->pass, attributes, &conv->description);
    }
    dnnl_primitive_attr_destroy(attributes);
    DNNL_TRY(code);

    const struct naming *naming = &namings[conv->pass];
    for (int i = 0; i < SPW_DNNL_TENSORS; i++) {
        conv->layouts[i] = dnnl_primitive_desc_query_md(conv->description, naming->query[i], 0);
    }
    if (conv->bias) {
        conv->bias_layout =
            dnnl_primitive_desc_query_md(conv->description, naming->query[SPW_DNNL_W], 1);
    }
    conv->scratch_layout =
        dnnl_primitive_desc_query_md(conv->description, dnnl_query_scratchpad_md, 0);
    return (int)dnnl_primitive_create(&conv->primitive, conv->description);
}

static int make_handles(struct spw_dnnl_conv *conv, struct handles *handles,
                        const struct spw_dnnl_conv_shape *shape)
{
    const dnnl_dims_t dims[SPW_DNNL_TENSORS] = {
        {shape->items, shape->channels, shape->height, shape->width},
        {shape->out, shape->channels, shape->kernel, shape->kernel},
        {shape->items, shape->out, shape->out_height, shape->out_width},
    };
    dnnl_engine_t engine = conv->dnnl->engine;
    DNNL_TRY(dnnl_stream_create(&handles->stream, engine, dnnl_stream_default_flags));
    for (int i = 0; i < SPW_DNNL_TENSORS; i++) {
        DNNL_TRY(spw_dnnl_plain_memory(engine, dims[i], &handles->plain[i]));
        DNNL_TRY(
            dnnl_memory_create(&handles->packed[i], conv->layouts[i], engine, DNNL_MEMORY_NONE));
    }
    if (conv->bias_layout != NULL) {
        DNNL_TRY(dnnl_memory_create(&handles->bias, conv->bias_layout, engine, DNNL_MEMORY_NONE));
    }
    return (int)dnnl_memory_create(&handles->scratch, conv->scratch_layout, engine,
                                   DNNL_MEMORY_NONE);
}

static int make_reorder(struct spw_dnnl_conv *conv, enum spw_dnnl_tensor tensor)
{
    const void *plain = spw_dnnl_layout_of(conv->handles[0].plain[tensor]);
    const void *packed = conv->layouts[tensor];
    if (dnnl_memory_desc_equal(plain, packed)) {
        return 0;
    }
    bool output = namings[conv->pass].output == tensor;
    dnnl_engine_t engine = conv->dnnl->engine;
    dnnl_primitive_desc_t description;
    DNNL_TRY(dnnl_reorder_primitive_desc_create(&description, output ? packed : plain, engine,
                                                output ? plain : packed, engine, NULL));
    int code = (int)dnnl_primitive_create(&conv->reorders[tensor], description);
    dnnl_primitive_desc_destroy(description);
    return code;
}

static int make_conv(struct spw_dnnl_conv *conv, const struct spw_dnnl_conv_shape *shape)
{
    DNNL_TRY(make_primitive(conv, shape));
    for (uint32_t i = 0; i < conv->threads; i++) {
        DNNL_TRY(make_handles(conv, &conv->handles[i], shape));
    }
    for (enum spw_dnnl_tensor i = SPW_DNNL_X; i < SPW_DNNL_TENSORS; i++) {
        DNNL_TRY(make_reorder(conv, i));
    }
    return 0;
}

enum spw_status spw_dnnl_conv_create(const struct spw_dnnl *dnnl,
                                     const struct spw_dnnl_conv_shape *shape,
                                     enum spw_dnnl_conv_pass pass, uint32_t threads,
                                     struct spw_error *error, struct spw_dnnl_conv **out)
{
    struct spw_dnnl_conv *conv;
    uint64_t bytes = sizeof *conv + threads * sizeof conv->handles[0];
    SPW_TRY(spw_allocate(dnnl->world, 1, bytes, "a convolution's handles", error, &conv));
    conv->dnnl = dnnl;
    conv->threads = threads;
    conv->pass = pass;
    conv->bias = shape->bias && pass != SPW_DNNL_BACKWARD_DATA;
    use_one_thread(dnnl); /* primitives are made for the number of threads that is set */
    int code = make_conv(conv, shape);
    if (code != 0) {
        spw_dnnl_conv_destroy(conv);
        return spw_dnnl_fail(error, code, "preparing a convolution");
    }
    *out = conv;
    return SPW_OK;
}

static void forget_handles(struct handles *handles)
{
    for (int i = 0; i < SPW_DNNL_TENSORS; i++) {
        dnnl_memory_destroy(handles->plain[i]);
        dnnl_memory_destroy(handles->packed[i]);
    }
    dnnl_memory_destroy(handles->bias);
    dnnl_memory_destroy(handles->scratch);
    if (handles->stream != NULL) {
        dnnl_stream_destroy(handles->stream);
    }
}

void spw_dnnl_conv_destroy(struct spw_dnnl_conv *conv)
{
    if (conv == NULL) {
        return;
    }
    for (uint32_t i = 0; i < conv->threads; i++) {
        forget_handles(&conv->handles[i]);
    }
    for (int i = 0; i < SPW_DNNL_TENSORS; i++) {
        if (conv->reorders[i] != NULL) {
            dnnl_primitive_destroy(conv->reorders[i]);
        }
    }
    if (conv->primitive != NULL) {
        dnnl_primitive_destroy(conv->primitive);
    }
    if (conv->description != NULL) {
        dnnl_primitive_desc_destroy(conv->description);
    }
    spw_release(conv->dnnl->world, conv);
}

uint64_t spw_dnnl_conv_bytes(const struct spw_dnnl_conv *conv, enum spw_dnnl_tensor tensor)
{
    return dnnl_memory_desc_get_size(conv->layouts[tensor]);
}

bool spw_dnnl_conv_is_plain(const struct spw_dnnl_conv *conv, enum spw_dnnl_tensor tensor)
{
    return conv->reorders[tensor] == NULL;
}

bool spw_dnnl_conv_same_layout(const struct spw_dnnl_conv *a, const struct spw_dnnl_conv *b,
                               enum spw_dnnl_tensor tensor)
{
    return dnnl_memory_desc_equal(a->layouts[tensor], b->layouts[tensor]) != 0;
}

uint64_t spw_dnnl_conv_scratch_bytes(const struct spw_dnnl_conv *conv)
{
    return dnnl_memory_desc_get_size(conv->scratch_layout);
}

/* The library takes handles without const, also of what it only reads. */
static int point(dnnl_memory_t memory, const void *data)
{
    void *handle;
    memcpy(&handle, &data, sizeof handle);
    return (int)dnnl_memory_set_data_handle(memory, handle);
}

static int reorder(struct spw_dnnl_conv *conv, uint32_t thread, enum spw_dnnl_tensor tensor,
                   dnnl_memory_t from, dnnl_memory_t to)
{
    use_one_thread(conv->dnnl);
    dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    return (int)dnnl_primitive_execute(conv->reorders[tensor], conv->handles[thread].stream, 2,
                                       arguments);
}

int spw_dnnl_conv_pack(struct spw_dnnl_conv *conv, uint32_t thread, enum spw_dnnl_tensor tensor,
                       const float *plain, float *packed)
{
    struct handles *handles = &conv->handles[thread];
    DNNL_TRY(point(handles->plain[tensor], plain));
    DNNL_TRY(point(handles->packed[tensor], packed));
    return reorder(conv, thread, tensor, handles->plain[tensor], handles->packed[tensor]);
}

int spw_dnnl_conv_unpack(struct spw_dnnl_conv *conv, uint32_t thread, enum spw_dnnl_tensor tensor,
                         const float *packed, float *plain)
{
    struct handles *handles = &conv->handles[thread];
    DNNL_TRY(point(handles->plain[tensor], plain));
    DNNL_TRY(point(handles->packed[tensor], packed));
    return reorder(conv, thread, tensor, handles->packed[tensor], handles->plain[tensor]);
}

int spw_dnnl_conv_run(struct spw_dnnl_conv *conv, uint32_t thread, const float *x, const float *w,
                      const float *y, const float *bias, void *scratch)
{
    struct handles *handles = &conv->handles[thread];
    const struct naming *naming = &namings[conv->pass];
    const float *data[SPW_DNNL_TENSORS] = {x, w, y};
    dnnl_exec_arg_t arguments[SPW_DNNL_TENSORS + 2];
    int count = 0;
    for (int i = 0; i < SPW_DNNL_TENSORS; i++) {
        DNNL_TRY(point(handles->packed[i], data[i]));
        arguments[count++] = (dnnl_exec_arg_t){naming->argument[i], handles->packed[i]};
    }
    if (handles->bias != NULL) {
        DNNL_TRY(point(handles->bias, bias));
        arguments[count++] = (dnnl_exec_arg_t){naming->bias_argument, handles->bias};
    }
    DNNL_TRY(point(handles->scratch, scratch));
    arguments[count++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, handles->scratch};
    use_one_thread(conv->dnnl);
    return (int)dnnl_primitive_execute(conv->primitive, handles->stream, count, arguments);
}
