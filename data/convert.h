/* convert.h — the loops over every pixel and token. Internal to the data box.
 *
 * All are exact, so vector width cannot change a bit. Ranges do not overlap. */
#ifndef SPW_DATA_CONVERT_H
#define SPW_DATA_CONVERT_H

#include <stdint.h>

/* into[i] = from[i] / 255, rounded to nearest. */
void spw_scale_u8(const uint8_t *from, uint64_t count, float *into);

/* into[i] = from[i]. */
void spw_widen_u8(const uint8_t *from, uint64_t count, int32_t *into);
void spw_widen_u16(const uint16_t *from, uint64_t count, int32_t *into);

/* The largest value, 0 if there is none. */
uint32_t spw_largest_u8(const uint8_t *values, uint64_t count);
uint32_t spw_largest_u16(const uint16_t *values, uint64_t count);
uint32_t spw_largest_u32(const uint32_t *values, uint64_t count);

#endif
