/* A plugin of ABI 1.0. It uses every member of the host's table. */
#include "plugin.h"

#include <string.h>

PIPE_METADATA("{\"pipe\":1,\"abi\":[1,0],\"step\":\"frozen\",\"version\":\"1.0.0\",\"help\":\"Echo a text\","
              "\"operations\":[\"plan\",\"run\",\"undo\"],"
              "\"params\":[{\"name\":\"text\",\"type\":\"string\",\"required\":true,\"help\":\"A text\"},"
              "{\"name\":\"fail\",\"type\":\"boolean\",\"default\":false,\"help\":\"Fail\"}],"
              "\"outputs\":[{\"name\":\"echo\",\"type\":\"string\",\"help\":\"The text\"},"
              "{\"name\":\"parts\",\"type\":\"list\",\"item\":\"string\",\"help\":\"It, twice\"}]}");

static pipe_str str(const char *s) {
  pipe_str to;
  to.data = s;
  to.size = strlen(s);
  return to;
}

static pipe_status plan(const pipe_host_v1 *host, pipe_run *run) {
  host->verdict(run, PIPE_CHANGE, str("would echo"));
  host->diff(run, str("echo"), str("nothing"), str("the text"));
  return PIPE_OK;
}

static pipe_status echo(const pipe_host_v1 *host, pipe_run *run) {
  pipe_value text, fail, parts, items[2], fields[2];
  pipe_progress progress;
  pipe_status status;
  if (host->size < sizeof(pipe_host_v1) || host->abi_major != 1 || host->version.size == 0) return PIPE_E_INTERNAL;
  if (host->cancelled(run) || host->cancel_fd(run) < 0) return PIPE_E_CANCELLED;
  if (host->extension(run, "frozen/1") != NULL) return PIPE_E_INTERNAL;
  status = host->param(run, str("text"), &text);
  if (status == PIPE_OK) status = host->param(run, str("fail"), &fail);
  if (status != PIPE_OK) return status;
  if (fail.kind == PIPE_BOOL && fail.as.i) {
    host->fail(run, PIPE_E_DENIED, str("frozen was told to fail"), str("do not tell it"), 0);
    return PIPE_E_DENIED;
  }
  memset(&progress, 0, sizeof progress);
  progress.size = sizeof progress;
  progress.done = progress.total = 1;
  progress.label = str("echo");
  host->progress(run, &progress);
  memset(fields, 0, sizeof fields);
  fields[0].kind = fields[1].kind = PIPE_STRING;
  fields[0].as.s = str("key");
  fields[1].as.s = str("value");
  host->log(run, 2, text.as.s, fields, 2);
  status = host->remember(run, str("text"), &text);
  if (status == PIPE_OK) status = host->output(run, str("echo"), &text);
  memset(&parts, 0, sizeof parts);
  parts.kind = PIPE_LIST;
  parts.as.list.items = items;
  parts.as.list.count = 2;
  items[0] = items[1] = text;
  if (status == PIPE_OK) status = host->output(run, str("parts"), &parts);
  host->verdict(run, PIPE_CHANGE, str("echoed"));
  return status;
}

static pipe_status undo(const pipe_host_v1 *host, pipe_run *run) {
  pipe_value text;
  pipe_status status = host->recall(run, str("text"), &text);
  if (status == PIPE_OK && text.kind == PIPE_STRING) host->verdict(run, PIPE_REMOVE, text.as.s);
  return status;
}

static const pipe_step_v1 step = {sizeof step, 0, "frozen", plan, echo, undo};
static const pipe_step_v1 *const steps[] = {&step, NULL};
PIPE_EXPORT const pipe_plugin_v1 pipe_plugin_entry_v1 = {sizeof(pipe_plugin_v1), 1, 0, steps, NULL};
