/* tiles.h — cutting an op's work into tiles whose borders depend on the shape alone.
 *
 * So the bits of a result never depend on the number of threads. Internal to the kernels box. */
#ifndef SPW_KERNELS_HOST_TILES_H
#define SPW_KERNELS_HOST_TILES_H

#include "base/assert.h"

#include <stdint.h>

/* Elements that make a tile worth handing to a thread: some microseconds of work, in cache. */
#define SPW_TILE_ELEMENTS 16384

/* Tiles of `per_tile` out of `total`, the last one shorter. */
static inline uint32_t spw_tile_count(int64_t total, int64_t per_tile)
{
    const int64_t tiles = (total + per_tile - 1) / per_tile;
    SPW_ASSERT(tiles <= UINT32_MAX);
    return (uint32_t)tiles;
}

/* Length of tile `index`. */
static inline int64_t spw_tile_length(int64_t total, int64_t per_tile, uint32_t index)
{
    const int64_t left = total - (int64_t)index * per_tile;
    return left < per_tile ? left : per_tile;
}

/* Rows of `width` elements per tile, at least one. */
static inline int64_t spw_tile_rows(int64_t width)
{
    return width < SPW_TILE_ELEMENTS ? SPW_TILE_ELEMENTS / width : 1;
}

#endif
