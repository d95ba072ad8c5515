/* Does nothing: what a step costs by itself. */
#include <pipe/plugin.h>

PIPE_METADATA("{\"pipe\":1,\"abi\":" PIPE_ABI_JSON
              ",\"step\":\"noop\",\"version\":\"0.1.0\","
              "\"help\":\"Do nothing\",\"operations\":[\"plan\",\"run\"],\"params\":[],\"outputs\":[]}");

static pipe_status done(const pipe_host_v1 *host, pipe_run *run) {
  static const pipe_str nothing = {"", 0};
  host->verdict(run, PIPE_UP_TO_DATE, nothing);
  return PIPE_OK;
}

static const pipe_step_v1 step = {sizeof step, 0, "noop", done, done, NULL};
static const pipe_step_v1 *const steps[] = {&step, NULL};
PIPE_EXPORT const pipe_plugin_v1 pipe_plugin_entry_v1 = {sizeof(pipe_plugin_v1), PIPE_ABI_MAJOR,
                                                         PIPE_ABI_MINOR, steps, NULL};
