/* dataset.h — what a cursor sees of a data set. Internal to the data box. */
#ifndef SPW_DATA_DATASET_H
#define SPW_DATA_DATASET_H

#include "data/data.h"

/* Item `item` as the model takes it: x is fp32 [item] or int32 [seq_len], targets
 * [targets_per_item]. Reads only, so any number of threads may. */
void spw_dataset_item(const struct spw_dataset *set, uint64_t item, void *x, int32_t *targets);

#endif
