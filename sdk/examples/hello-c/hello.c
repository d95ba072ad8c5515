/* The contract without the C++ layer: a step in C11 that greets someone. */
#include <pipe/plugin.h>
#include <stdio.h>
#include <string.h>

PIPE_METADATA("{\"pipe\":1,\"abi\":" PIPE_ABI_JSON
              ",\"step\":\"hello-c\",\"version\":\"0.1.0\","
              "\"help\":\"Greet someone\",\"operations\":[\"plan\",\"run\"],"
              "\"params\":[{\"name\":\"name\",\"type\":\"string\",\"default\":\"world\","
              "\"help\":\"Who is greeted\"}],"
              "\"outputs\":[{\"name\":\"greeting\",\"type\":\"string\",\"help\":\"What was said\"}]}");

static pipe_str text(const char *s) {
  pipe_str to = {s, strlen(s)};
  return to;
}

static pipe_status plan(const pipe_host_v1 *host, pipe_run *run) {
  host->verdict(run, PIPE_CHANGE, text("says hello"));
  return PIPE_OK;
}

static pipe_status greet(const pipe_host_v1 *host, pipe_run *run) {
  pipe_value name, greeting;
  char line[256];
  pipe_status status = host->param(run, text("name"), &name);
  if (status != PIPE_OK) return status;
  int length = snprintf(line, sizeof line, "Hello, %.*s!", (int)name.as.s.size, name.as.s.data);
  if (length < 0 || (size_t)length >= sizeof line) {
    host->fail(run, PIPE_E_INVALID, text("the name is too long to greet"), text("use at most 240 bytes"), 0);
    return PIPE_E_INVALID;
  }
  memset(&greeting, 0, sizeof greeting);
  greeting.kind = PIPE_STRING;
  greeting.as.s = text(line);
  host->log(run, 2, greeting.as.s, NULL, 0);
  host->verdict(run, PIPE_CHANGE, text("said hello"));
  return host->output(run, text("greeting"), &greeting);
}

static const pipe_step_v1 step = {sizeof step, 0, "hello-c", plan, greet, NULL};
static const pipe_step_v1 *const steps[] = {&step, NULL};
PIPE_EXPORT const pipe_plugin_v1 pipe_plugin_entry_v1 = {sizeof(pipe_plugin_v1), PIPE_ABI_MAJOR,
                                                         PIPE_ABI_MINOR, steps, NULL};
