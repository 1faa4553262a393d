/* trial_check.h — refuses a trial whose settings don't go together. Internal to the selection box.
 */
#ifndef SPW_SELECTION_TRIAL_CHECK_H
#define SPW_SELECTION_TRIAL_CHECK_H

#include "selection/trials.h"

/* SPW_ERR_USAGE with the place that the setting came from, the reason and the cure. */
enum spw_status spw_trial_check(const struct spw_key_context *context, const struct spw_spec *spec,
                                const struct spw_trial_spec *trial);

#endif
