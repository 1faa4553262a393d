/* update.c — SGD, AdamW, partial sums of the global norm, and sums of gradients.
 *
 * The arithmetic of one element is written once, as an inline function of plain operations; the
 * reference is a plain loop over it, the fast path the same loop as vector code. The build fuses
 * nothing, so both give the same bits on every machine. Tested by tests/kernels/test_update.c. */
#include "kernels/update.h"

#include "base/assert.h"
#include "base/clones.h"
#include "kernels/host/tiles.h"

#include <math.h>
#include <string.h>

uint32_t spw_optimizer_moments(const struct spw_optimizer_config *config)
{
    switch (config->name) {
    case SPW_SGD:
        return config->momentum != 0 ? 1 : 0;
    case SPW_ADAMW:
        return 2;
    }
    return 0;
}

uint32_t spw_update_moments(const struct spw_update_scalars *scalars)
{
    switch (scalars->name) {
    case SPW_SGD:
        return scalars->has_momentum ? 1 : 0;
    case SPW_ADAMW:
        return 2;
    }
    return 0;
}

/* As clip_grad_norm_: the factor never raises a gradient. A norm that is not finite is passed on,
 * so that it shows. */
static double clip_factor(double grad_clip, double norm)
{
    if (grad_clip <= 0) {
        return 1;
    }
    const double factor = grad_clip / (norm + 1e-6);
    return factor > 1 ? 1 : factor;
}

struct spw_update_scalars spw_update_scalars(const struct spw_optimizer_config *config, double lr,
                                             uint64_t step, double norm, bool decays)
{
    SPW_ASSERT(step > 0);
    const double weight_decay = decays ? config->weight_decay : 0;
    struct spw_update_scalars scalars = {
        .name = config->name,
        .first = step == 1,
        .clip = (float)clip_factor(config->grad_clip, norm),
    };
    switch (config->name) {
    case SPW_SGD:
        scalars.has_momentum = config->momentum != 0;
        scalars.momentum = (float)config->momentum;
        scalars.decay = (float)weight_decay;
        scalars.step_size = (float)lr;
        break;
    case SPW_ADAMW:
        scalars.decay = (float)(1 - lr * weight_decay);
        scalars.beta1 = (float)config->beta1;
        scalars.one_minus_beta1 = (float)(1 - config->beta1);
        scalars.beta2 = (float)config->beta2;
        scalars.one_minus_beta2 = (float)(1 - config->beta2);
        scalars.eps = (float)config->eps;
        scalars.step_size = (float)(lr / (1 - pow(config->beta1, (double)step)));
        scalars.inverse_root_correction2 = (float)(1 / sqrt(1 - pow(config->beta2, (double)step)));
        break;
    }
    return scalars;
}

/* One element, in the order that every device keeps. */

static inline void adamw_element(const struct spw_update_scalars *s, float *w, float g, float *m,
                                 float *v)
{
    g = g * s->clip;
    *m = s->beta1 * *m + s->one_minus_beta1 * g;
    *v = s->beta2 * *v + s->one_minus_beta2 * (g * g);
    const float root = sqrtf(*v) * s->inverse_root_correction2 + s->eps;
    *w = *w * s->decay - s->step_size * (*m / root);
}

static inline void sgd_element(const struct spw_update_scalars *s, float *w, float g)
{
    g = g * s->clip + s->decay * *w;
    *w = *w - s->step_size * g;
}

static inline void momentum_element(const struct spw_update_scalars *s, float *w, float g,
                                    float *buffer)
{
    g = g * s->clip + s->decay * *w;
    *buffer = s->momentum * *buffer + g;
    *w = *w - s->step_size * *buffer;
}

/* At step 1 the buffer holds nothing yet. */
static inline void first_momentum_element(const struct spw_update_scalars *s, float *w, float g,
                                          float *buffer)
{
    g = g * s->clip + s->decay * *w;
    *buffer = g;
    *w = *w - s->step_size * g;
}

/* The fast path works in place, because then the compiler knows that arrays either are the same or
 * don't meet. Elsewhere it first copies a piece that stays in the first-level cache. */
#define PIECE 1024

SPW_CLONES
static void adamw(const struct spw_update_scalars *scalars, float *restrict w,
                  const float *restrict g, float *restrict m, float *restrict v, int64_t count)
{
    const struct spw_update_scalars s = *scalars;
    for (int64_t i = 0; i < count; i++) {
        adamw_element(&s, &w[i], g[i], &m[i], &v[i]);
    }
}

SPW_CLONES
static void sgd(const struct spw_update_scalars *scalars, float *restrict w,
                const float *restrict g, int64_t count)
{
    const struct spw_update_scalars s = *scalars;
    for (int64_t i = 0; i < count; i++) {
        sgd_element(&s, &w[i], g[i]);
    }
}

SPW_CLONES
static void sgd_momentum(const struct spw_update_scalars *scalars, float *restrict w,
                         const float *restrict g, float *restrict buffer, int64_t count)
{
    const struct spw_update_scalars s = *scalars;
    if (s.first) {
        for (int64_t i = 0; i < count; i++) {
            first_momentum_element(&s, &w[i], g[i], &buffer[i]);
        }
    } else {
        for (int64_t i = 0; i < count; i++) {
            momentum_element(&s, &w[i], g[i], &buffer[i]);
        }
    }
}

/* Arrays in use: w and so many moments. */
static int moments_of(const struct spw_update_scalars *scalars)
{
    return scalars->name == SPW_ADAMW ? 2 : scalars->has_momentum ? 1 : 0;
}

static bool reads_moments(const struct spw_update_scalars *scalars)
{
    return scalars->name == SPW_ADAMW || !scalars->first;
}

static void bring(float *to, const float *from, int64_t count)
{
    if (to != from) {
        memcpy(to, from, (size_t)count * sizeof(*to));
    }
}

static void update_piece(const struct spw_update_call *call, int64_t first, int64_t count)
{
    const struct spw_update_scalars *s = &call->scalars;
    float *w = call->w_out + first;
    const float *g = call->g + first;
    float *moments[2] = {NULL, NULL};
    bring(w, call->w + first, count);
    for (int i = 0; i < moments_of(s); i++) {
        moments[i] = call->moments_out[i] + first;
        if (reads_moments(s)) {
            bring(moments[i], call->moments[i] + first, count);
        }
    }
    if (s->name == SPW_ADAMW) {
        adamw(s, w, g, moments[0], moments[1], count);
    } else if (s->has_momentum) {
        sgd_momentum(s, w, g, moments[0], count);
    } else {
        sgd(s, w, g, count);
    }
}

static void update_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct spw_update_call *call = context;
    const int64_t first = (int64_t)index * SPW_TILE_ELEMENTS;
    const int64_t count = spw_tile_length((int64_t)call->count, SPW_TILE_ELEMENTS, index);
    for (int64_t done = 0; done < count; done += PIECE) {
        update_piece(call, first + done, count - done < PIECE ? count - done : PIECE);
    }
}

void spw_update_run(const struct spw_update_call *call, struct spw_pool *pool)
{
    struct spw_update_call copy = *call;
    spw_pool_run(pool, spw_tile_count((int64_t)call->count, SPW_TILE_ELEMENTS), update_tile, &copy);
}

void spw_update_reference(const struct spw_update_call *call)
{
    const struct spw_update_scalars *s = &call->scalars;
    for (uint64_t i = 0; i < call->count; i++) {
        float w = call->w[i];
        float first = moments_of(s) > 0 && reads_moments(s) ? call->moments[0][i] : 0.0f;
        float second = moments_of(s) > 1 ? call->moments[1][i] : 0.0f;
        if (s->name == SPW_ADAMW) {
            adamw_element(s, &w, call->g[i], &first, &second);
        } else if (s->has_momentum && s->first) {
            first_momentum_element(s, &w, call->g[i], &first);
        } else if (s->has_momentum) {
            momentum_element(s, &w, call->g[i], &first);
        } else {
            sgd_element(s, &w, call->g[i]);
        }
        call->w_out[i] = w;
        if (moments_of(s) > 0) {
            call->moments_out[0][i] = first;
        }
        if (moments_of(s) > 1) {
            call->moments_out[1][i] = second;
        }
    }
}

/* The canonical sum of squares of one chunk. A square of two floats is exact in double. */
#define NORM_LANES 8

SPW_CLONES
static double sum_of_squares(const float *g, int64_t count)
{
    const int64_t whole = count - count % NORM_LANES;
    double sum[NORM_LANES] = {0};
    for (int64_t i = 0; i < whole; i += NORM_LANES) {
        for (int l = 0; l < NORM_LANES; l++) {
            sum[l] += (double)g[i + l] * (double)g[i + l];
        }
    }
    for (int64_t i = whole; i < count; i++) {
        sum[i - whole] += (double)g[i] * (double)g[i];
    }
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

struct norm {
    const float *g;
    uint64_t count;
    double *partials;
};

/* Chunks that one tile sums. */
#define CHUNKS_PER_TILE (SPW_TILE_ELEMENTS / SPW_NORM_CHUNK)

static void norm_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct norm *norm = context;
    const int64_t chunks = (int64_t)spw_norm_chunks(norm->count);
    const int64_t first = (int64_t)index * CHUNKS_PER_TILE;
    const int64_t end = first + spw_tile_length(chunks, CHUNKS_PER_TILE, index);
    for (int64_t chunk = first; chunk < end; chunk++) {
        norm->partials[chunk] =
            sum_of_squares(norm->g + chunk * SPW_NORM_CHUNK,
                           spw_tile_length((int64_t)norm->count, SPW_NORM_CHUNK, (uint32_t)chunk));
    }
}

void spw_norm_partials(const float *g, uint64_t count, double *partials, struct spw_pool *pool)
{
    struct norm norm = {.g = g, .count = count, .partials = partials};
    spw_pool_run(pool, spw_tile_count((int64_t)spw_norm_chunks(count), CHUNKS_PER_TILE), norm_tile,
                 &norm);
}

struct accumulation {
    float *total;
    const float *addend;
    uint64_t count;
};

SPW_CLONES
static void add_into(float *restrict total, const float *restrict addend, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        total[i] = total[i] + addend[i];
    }
}

static void accumulate_tile(void *context, uint32_t index, uint32_t thread)
{
    (void)thread;
    const struct accumulation *work = context;
    const int64_t first = (int64_t)index * SPW_TILE_ELEMENTS;
    add_into(work->total + first, work->addend + first,
             spw_tile_length((int64_t)work->count, SPW_TILE_ELEMENTS, index));
}

void spw_accumulate(float *total, const float *addend, uint64_t count, struct spw_pool *pool)
{
    struct accumulation work = {.total = total, .addend = addend, .count = count};
    spw_pool_run(pool, spw_tile_count((int64_t)count, SPW_TILE_ELEMENTS), accumulate_tile, &work);
}

/* x - x is 0 for finite numbers and NaN for the others. */
SPW_CLONES
static bool all_finite(const float *values, int64_t count)
{
    uint32_t bad = 0;
    for (int64_t i = 0; i < count; i++) {
        bad |= values[i] - values[i] != 0.0f ? 1u : 0u;
    }
    return bad == 0;
}

uint64_t spw_first_nonfinite(const float *values, uint64_t count)
{
    for (uint64_t first = 0; first < count; first += PIECE) {
        const uint64_t left = count - first;
        const uint64_t end = first + (left < PIECE ? left : PIECE);
        if (!all_finite(values + first, (int64_t)(end - first))) {
            for (uint64_t i = first; i < end; i++) {
                if (!isfinite(values[i])) {
                    return i;
                }
            }
        }
    }
    return count;
}
