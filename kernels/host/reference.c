/* reference.c — the plain fp32 loops of every op: their definition, and the oracle of the fast
 * paths.
 *
 * Not fast and not meant to be. The loops themselves are in reference_*.inc, because a test
 * compiles them a second time, in double, and holds their gradients against finite differences. */
#include "kernels/host/reference.h"

#include "base/philox.h"

#include <math.h>

#define REAL float
#define REAL_FUNCTION(name) name##f
#define REFERENCE(name) spw_reference_##name

#include "kernels/host/reference_common.inc"
#include "kernels/host/reference_elementwise.inc"
#include "kernels/host/reference_linear.inc"
#include "kernels/host/reference_loss.inc"
#include "kernels/host/reference_pool.inc"
#include "kernels/host/reference_tokens.inc"
