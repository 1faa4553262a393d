/* pool_2x2.h — pooling with windows of 2 x 2 side by side, by far the most common, without taking
 * rows apart first: about five times as fast as the general loops of pool.c, and with the same
 * bits. */
#ifndef SPW_KERNELS_HOST_POOL_2X2_H
#define SPW_KERNELS_HOST_POOL_2X2_H

#include <stdbool.h>
#include <stdint.h>

/* One plane: x, dx [height, width]; y, dy [height / 2, width / 2]. dx is added to if `accumulate`,
 * else written whole: an odd last row or column, which no window covers, becomes 0. */
struct spw_pool_2x2 {
    int64_t height, width;
    const float *x, *dy;
    float *y, *dx;
    bool accumulate;
};

void spw_pool_2x2_max_forward(const struct spw_pool_2x2 *plane);
void spw_pool_2x2_max_backward(const struct spw_pool_2x2 *plane);
void spw_pool_2x2_average_forward(const struct spw_pool_2x2 *plane);
void spw_pool_2x2_average_backward(const struct spw_pool_2x2 *plane);

#endif
