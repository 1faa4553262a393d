/* trial.h — a trial's part in a session. Internal to the api box. */
#ifndef SPW_API_TRIAL_H
#define SPW_API_TRIAL_H

#include "api/objects.h"

/* The trial's job came into this state: weights are saved when it is done, and a failure's reason
 * is kept. A failure returned here fails the job. */
enum spw_status spw_trial_enter(struct spw_trial *trial, enum spw_job_state state,
                                struct spw_error *error);
/* After the run is gone. */
void spw_trial_destroy(struct spw_trial *trial);

#endif
