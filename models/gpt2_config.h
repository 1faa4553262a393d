/* gpt2_config.h — reads a Hugging Face config.json of a GPT-2. Internal to the models box. */
#ifndef SPW_MODELS_GPT2_CONFIG_H
#define SPW_MODELS_GPT2_CONFIG_H

#include "models/arch.h"

/* Parses `count` bytes of the file at `path`. Settings that are absent get the format's defaults;
 * sizes may not be absent. SPW_ERR_USAGE names the key: another model_type, a value of the wrong
 * type or range, or a key that changes the mathematics to something we don't compute. Keys that
 * change nothing are passed over. name_prefix is left false. */
enum spw_status spw_gpt2_config_parse(const char *path, const char *bytes, uint64_t count,
                                      struct spw_error *error, struct spw_gpt2_config *out);

#endif
