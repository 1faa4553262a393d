/* arch_mlp.c — `arch: mlp`: flatten, (linear, activation [, dropout])*, linear: what a cnn is
 * without convolutions. Tested by tests/models/test_arch.c. */
#include "models/arch.h"

#include <string.h>

enum spw_status spw_arch_mlp(const struct spw_world *world, const char *name,
                             const struct spw_mlp_config *config, struct spw_shape input,
                             int64_t classes, uint64_t seed, struct spw_error *error,
                             struct spw_graph **out)
{
    struct spw_cnn_config cnn = {
        .hidden_count = config->hidden_count,
        .activation = config->activation,
        .dropout = config->dropout,
    };
    memcpy(cnn.hidden, config->hidden, sizeof(cnn.hidden));
    return spw_arch_cnn(world, name, &cnn, input, classes, seed, error, out);
}
