/* update.h — the optimizer's arithmetic: SGD, AdamW, the global norm's partial sums, and sums of
 * gradient accumulators. Element-wise, so any split into chunks gives the same bits.
 *
 * Only + - x / sqrt and explicit fma are used, in a stated order, and scalars are computed once by
 * the caller: host and GPU give the same bits. Semantics are torch.optim's (docs/numerics.md). */
#ifndef SPW_KERNELS_UPDATE_H
#define SPW_KERNELS_UPDATE_H

#include "base/status.h"
#include "base/thread.h"

enum spw_optimizer { SPW_SGD, SPW_ADAMW };

/* Elements per partial sum of the global norm; each parameter starts a new chunk. */
#define SPW_NORM_CHUNK 4096

/* Arrays that an optimizer keeps per parameter: AdamW 2, SGD 1 with momentum, else 0. */
struct spw_optimizer_config {
    enum spw_optimizer name;
    double beta1, beta2, eps; /* AdamW */
    double momentum;          /* SGD, 0 for none */
    double weight_decay;
    bool decay_matrices_only; /* spare parameters with fewer than two dimensions */
    double grad_clip;         /* 0: off */
};
uint32_t spw_optimizer_moments(const struct spw_optimizer_config *config);

/* Scalars of one step, computed once per step (and per decay group) in double, then rounded. */
struct spw_update_scalars {
    enum spw_optimizer name;
    bool has_momentum;
    bool first;  /* step 1: SGD's momentum buffer starts as the gradient */
    float clip;  /* factor on the gradient, 1 for none */
    float decay; /* AdamW: 1 - lr * weight_decay, multiplies w; SGD: weight_decay, adds decay * w to
                    g */
    float beta1, one_minus_beta1;
    float beta2, one_minus_beta2;
    float eps;
    float step_size;                /* AdamW: lr / (1 - beta1^t); SGD: lr */
    float inverse_root_correction2; /* 1 / sqrt(1 - beta2^t) */
    float momentum;
};
/* Moments that an update with these scalars reads and writes: 0, 1 or 2. */
uint32_t spw_update_moments(const struct spw_update_scalars *scalars);
/* `step` counts from 1. `norm` is the global gradient norm before clipping; `decays` says whether
 * this parameter is decayed. */
struct spw_update_scalars spw_update_scalars(const struct spw_optimizer_config *config, double lr,
                                             uint64_t step, double norm, bool decays);

/* One chunk of `count` elements: reads w, g and moments, writes w_out and moments_out, which may be
 * the same arrays but may not overlap otherwise. moments[0] is exp_avg or the momentum buffer,
 * moments[1] exp_avg_sq. Unused entries may be NULL. Tiles of the pool (NULL: none) share the work.
 */
struct spw_update_call {
    struct spw_update_scalars scalars;
    uint64_t count;
    const float *w, *g;
    const float *moments[2];
    float *w_out;
    float *moments_out[2];
};
void spw_update_run(const struct spw_update_call *call, struct spw_pool *pool);
/* The plain loop that defines it; same bits. */
void spw_update_reference(const struct spw_update_call *call);

/* partials[i] = sum of squares of elements [4096 i, 4096 (i+1)) of one parameter's gradient, in
 * double, in the canonical order: eight running sums over elements j mod 8, then
 * ((0+4)+(2+6))+((1+5)+(3+7)). */
void spw_norm_partials(const float *g, uint64_t count, double *partials, struct spw_pool *pool);
static inline uint64_t spw_norm_chunks(uint64_t count)
{
    return (count + SPW_NORM_CHUNK - 1) / SPW_NORM_CHUNK;
}

/* total[i] = total[i] + addend[i]: folding gradient accumulators. */
void spw_accumulate(float *total, const float *addend, uint64_t count, struct spw_pool *pool);

/* Index of the first element that is not finite, or `count`. For diagnosis. */
uint64_t spw_first_nonfinite(const float *values, uint64_t count);

#endif
