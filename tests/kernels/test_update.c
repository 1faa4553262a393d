/* test_update.c — the optimizer's arithmetic: against the formulas in double, the fast path against
 * the plain loop bit for bit, over lengths, alignments, threads and places of the result. */
#include "kernels/update.h"

#include "base/philox.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_MAX 40000
#define SLACK 16

/* w, g, two moments. */
struct arrays {
    float memory[4][LENGTH_MAX + SLACK];
};

static void fill(struct arrays *arrays)
{
    for (int a = 0; a < 4; a++) {
        for (uint64_t i = 0; i < LENGTH_MAX + SLACK; i++) {
            const float value = spw_unit_float(spw_random_word(11, (uint64_t)a, i)) - 0.5f;
            arrays->memory[a][i] = a == 3 ? value * value : value; /* exp_avg_sq >= 0 */
        }
    }
}

static const struct spw_optimizer_config configs[] = {
    {.name = SPW_ADAMW, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01},
    {.name = SPW_ADAMW, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6, .grad_clip = 1.0},
    {.name = SPW_SGD},
    {.name = SPW_SGD, .weight_decay = 0.1, .grad_clip = 0.5},
    {.name = SPW_SGD, .momentum = 0.9, .weight_decay = 0.1},
};
#define CONFIGS ((int)(sizeof(configs) / sizeof(configs[0])))

static struct spw_update_call call_on(const struct arrays *from, struct arrays *to, size_t offset,
                                      uint64_t count, struct spw_update_scalars scalars)
{
    return (struct spw_update_call){
        .scalars = scalars,
        .count = count,
        .w = from->memory[0] + offset,
        .g = from->memory[1] + offset,
        .moments = {from->memory[2] + offset, from->memory[3] + offset},
        .w_out = to->memory[0] + offset,
        .moments_out = {to->memory[2] + offset, to->memory[3] + offset},
    };
}

/* torch.optim's documented formulas for one element, in double. */
static void expected(const struct spw_optimizer_config *config, double lr, double step, double clip,
                     double *w, double g, double *m, double *v)
{
    g *= clip;
    if (config->name == SPW_ADAMW) {
        *w *= 1 - lr * config->weight_decay;
        *m = config->beta1 * *m + (1 - config->beta1) * g;
        *v = config->beta2 * *v + (1 - config->beta2) * g * g;
        const double m_hat = *m / (1 - pow(config->beta1, step));
        const double v_hat = *v / (1 - pow(config->beta2, step));
        *w -= lr * m_hat / (sqrt(v_hat) + config->eps);
        return;
    }
    g += config->weight_decay * *w;
    if (config->momentum != 0) {
        *m = step == 1 ? g : config->momentum * *m + g;
        g = *m;
    }
    *w -= lr * g;
}

Test(update, follows_the_formulas)
{
    static struct arrays arrays, out;
    for (int c = 0; c < CONFIGS; c++) {
        for (uint64_t step = 1; step <= 1000; step = step * 3 + 1) {
            fill(&arrays);
            memset(&out, 0xff, sizeof(out));
            const double lr = 0.01, norm = 4;
            const struct spw_update_scalars scalars =
                spw_update_scalars(&configs[c], lr, step, norm, true);
            const struct spw_update_call call = call_on(&arrays, &out, 0, 500, scalars);
            spw_update_reference(&call);
            const double clip =
                configs[c].grad_clip > 0 ? fmin(1, configs[c].grad_clip / (norm + 1e-6)) : 1;
            for (int i = 0; i < 500; i++) {
                double w = (double)arrays.memory[0][i];
                double m = (double)arrays.memory[2][i];
                double v = (double)arrays.memory[3][i];
                expected(&configs[c], lr, (double)step, clip, &w, (double)arrays.memory[1][i], &m,
                         &v);
                cr_assert(fabs((double)out.memory[0][i] - w) <= 1e-6 * (1 + fabs(w)),
                          "config %d, step %d: w = %.9g, not %.9g", c, (int)step,
                          (double)out.memory[0][i], w);
                const uint32_t moments = spw_optimizer_moments(&configs[c]);
                cr_assert(moments < 1 || fabs((double)out.memory[2][i] - m) <= 1e-6);
                cr_assert(moments < 2 || fabs((double)out.memory[3][i] - v) <= 1e-6);
            }
        }
    }
}

static void check_same_bits(const struct arrays *want, const struct arrays *got, int config,
                            const char *what)
{
    for (int a = 0; a < 4; a++) {
        cr_assert(memcmp(want->memory[a], got->memory[a], sizeof(want->memory[a])) == 0,
                  "config %d, array %d: %s", config, a, what);
    }
}

/* Fast and plain, in place and elsewhere, at odd alignments; nothing outside is touched. */
Test(update, fast_and_plain_give_the_same_bits)
{
    static struct arrays start, plain, fast, in_place;
    static const uint64_t lengths[] = {1, 3, 17, 1023, 1025, 16385, LENGTH_MAX};
    for (int c = 0; c < CONFIGS; c++) {
        for (int l = 0; l < 7; l++) {
            for (uint64_t step = 1; step <= 2; step++) {
                const size_t offset = (size_t)(c + l) % 4;
                const struct spw_update_scalars scalars =
                    spw_update_scalars(&configs[c], 0.01, step, 3, true);
                fill(&start);
                fill(&in_place);
                memset(&plain, 0, sizeof(plain));
                memset(&fast, 0, sizeof(fast));
                struct spw_update_call call = call_on(&start, &plain, offset, lengths[l], scalars);
                spw_update_reference(&call);
                call = call_on(&start, &fast, offset, lengths[l], scalars);
                spw_update_run(&call, NULL);
                check_same_bits(&plain, &fast, c, "fast and plain differ");

                call = call_on(&in_place, &in_place, offset, lengths[l], scalars);
                spw_update_run(&call, NULL);
                call = call_on(&start, &start, offset, lengths[l], scalars);
                spw_update_reference(&call);
                check_same_bits(&start, &in_place, c, "in place");
            }
        }
    }
}

Test(update, threads_and_chunks_do_not_show)
{
    static struct arrays start, whole, other;
    fill(&start);
    for (int c = 0; c < CONFIGS; c++) {
        const struct spw_update_scalars scalars = spw_update_scalars(&configs[c], 0.01, 7, 3, true);
        memset(&whole, 0, sizeof(whole));
        struct spw_update_call call = call_on(&start, &whole, 0, LENGTH_MAX, scalars);
        spw_update_run(&call, NULL);
        for (uint32_t threads = 2; threads <= 4; threads++) {
            struct spw_pool *pool;
            cr_assert_eq(spw_pool_create(spw_world_system(), threads, NULL, NULL, &pool), SPW_OK);
            memset(&other, 0, sizeof(other));
            const uint64_t cut = 4097 * threads;
            call = call_on(&start, &other, 0, cut, scalars);
            spw_update_run(&call, pool);
            call = call_on(&start, &other, cut, LENGTH_MAX - cut, scalars);
            spw_update_run(&call, pool);
            check_same_bits(&whole, &other, c, "threads and chunks show");
            spw_pool_destroy(pool);
        }
    }
}

Test(update, scalars)
{
    struct spw_optimizer_config config = configs[0];
    struct spw_update_scalars s = spw_update_scalars(&config, 0.1, 1, 5, true);
    cr_assert(s.clip == 1 && s.decay == (float)(1 - 0.1 * 0.01));
    cr_assert(s.step_size == (float)(0.1 / (1 - 0.9)) && s.first);
    cr_assert(spw_update_scalars(&config, 0.1, 1, 5, false).decay == 1, "spared from decay");
    config.grad_clip = 1;
    cr_assert(spw_update_scalars(&config, 0.1, 2, 0.5, true).clip == 1, "never raises");
    cr_assert(spw_update_scalars(&config, 0.1, 2, 4, true).clip == (float)(1 / (4 + 1e-6)));
    cr_assert(isnan(spw_update_scalars(&config, 0.1, 2, NAN, true).clip), "NaN shows");
    cr_assert(spw_update_scalars(&config, 0.1, 2, INFINITY, true).clip == 0);
    cr_assert(spw_update_scalars(&configs[3], 0.1, 2, 1, false).decay == 0);
    cr_assert_eq(spw_optimizer_moments(&configs[0]), 2);
    cr_assert_eq(spw_optimizer_moments(&configs[2]), 0);
    cr_assert_eq(spw_optimizer_moments(&configs[4]), 1);
}

/* The canonical order, written a second time from its description. */
static double canonical_sum(const float *g, uint64_t count)
{
    double sum[8] = {0};
    for (uint64_t i = 0; i < count; i++) {
        sum[i % 8] = sum[i % 8] + (double)g[i] * (double)g[i];
    }
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}

Test(update, norm_partials_have_the_canonical_order)
{
    static struct arrays arrays;
    static const uint64_t lengths[] = {1, 7, 8, 4095, 4096, 4097, LENGTH_MAX};
    fill(&arrays);
    struct spw_pool *pool;
    cr_assert_eq(spw_pool_create(spw_world_system(), 3, NULL, NULL, &pool), SPW_OK);
    for (int l = 0; l < 7; l++) {
        for (size_t offset = 0; offset < 4; offset++) {
            const float *g = arrays.memory[1] + offset;
            double alone[16], pooled[16];
            spw_norm_partials(g, lengths[l], alone, NULL);
            spw_norm_partials(g, lengths[l], pooled, pool);
            const uint64_t chunks = spw_norm_chunks(lengths[l]);
            cr_assert(chunks <= 16 && chunks * SPW_NORM_CHUNK >= lengths[l]);
            for (uint64_t i = 0; i < chunks; i++) {
                const uint64_t left = lengths[l] - i * SPW_NORM_CHUNK;
                const double want = canonical_sum(g + i * SPW_NORM_CHUNK,
                                                  left < SPW_NORM_CHUNK ? left : SPW_NORM_CHUNK);
                cr_assert(alone[i] == want && pooled[i] == want, "length %d, chunk %d",
                          (int)lengths[l], (int)i);
            }
        }
    }
    spw_pool_destroy(pool);
}

Test(update, accumulate_adds_each_element_once)
{
    static struct arrays arrays, start;
    struct spw_pool *pool;
    cr_assert_eq(spw_pool_create(spw_world_system(), 2, NULL, NULL, &pool), SPW_OK);
    fill(&start);
    for (int pooled = 0; pooled < 2; pooled++) {
        fill(&arrays);
        spw_accumulate(arrays.memory[0] + 1, arrays.memory[1] + 1, LENGTH_MAX,
                       pooled != 0 ? pool : NULL);
        for (int i = 0; i < LENGTH_MAX + SLACK; i++) {
            const bool inside = i >= 1 && i < LENGTH_MAX + 1;
            const float want = start.memory[0][i] + (inside ? start.memory[1][i] : 0.0f);
            cr_assert(arrays.memory[0][i] == want, "element %d", i);
        }
    }
    spw_pool_destroy(pool);
}

Test(update, first_nonfinite_is_found)
{
    static float values[5000];
    cr_assert_eq(spw_first_nonfinite(values, 5000), 5000);
    cr_assert_eq(spw_first_nonfinite(values, 0), 0);
    static const uint64_t places[] = {4999, 3071, 1024, 1023, 17, 0};
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 6; i++) {
        values[places[i]] = bad[i % 3]; /* each before the last */
        cr_assert_eq(spw_first_nonfinite(values, 5000), places[i]);
        cr_assert_eq(spw_first_nonfinite(values, places[i]), places[i]);
    }
}
