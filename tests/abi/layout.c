/* The layout of ABI 1.0 on a 64-bit machine. Compiled as C and as C++; nothing of it runs. */
#include <pipe/plugin.h>

#ifdef __cplusplus
#define HOLDS(condition) static_assert(condition, #condition)
#else
#define HOLDS(condition) _Static_assert(condition, #condition)
#endif
#define AT(type, member, place) HOLDS(offsetof(type, member) == (place))

HOLDS(PIPE_ABI_MAJOR == 1);
HOLDS(sizeof(PIPE_METADATA_SECTION) == 9);

HOLDS(sizeof(pipe_str) == 16);
AT(pipe_str, data, 0);
AT(pipe_str, size, 8);

HOLDS(sizeof(pipe_value) == 24);
AT(pipe_value, kind, 0);
AT(pipe_value, as, 8);
AT(pipe_value, as.list.items, 8);
AT(pipe_value, as.list.count, 16);

HOLDS(PIPE_OK == 0 && PIPE_E_INVALID == 1 && PIPE_E_NOT_FOUND == 2 && PIPE_E_DENIED == 3);
HOLDS(PIPE_E_TRANSIENT == 4 && PIPE_E_TIMEOUT == 5 && PIPE_E_CANCELLED == 6 && PIPE_E_MISMATCH == 7);
HOLDS(PIPE_E_IO == 8 && PIPE_E_INTERNAL == 9);
HOLDS(PIPE_NULL == 0 && PIPE_BOOL == 1 && PIPE_INT == 2 && PIPE_FLOAT == 3);
HOLDS(PIPE_STRING == 4 && PIPE_LIST == 5 && PIPE_MAP == 6);
HOLDS(PIPE_UNKNOWN == 0 && PIPE_UP_TO_DATE == 1 && PIPE_CREATE == 2 && PIPE_CHANGE == 3);
HOLDS(PIPE_REPLACE == 4 && PIPE_REMOVE == 5);

/* These grow at the end only: the places hold, the sizes may not shrink. */
HOLDS(sizeof(pipe_progress) >= 56);
AT(pipe_progress, size, 0);
AT(pipe_progress, unit, 4);
AT(pipe_progress, id, 8);
AT(pipe_progress, parent, 16);
AT(pipe_progress, done, 24);
AT(pipe_progress, total, 32);
AT(pipe_progress, label, 40);

HOLDS(sizeof(pipe_host_v1) >= 120);
AT(pipe_host_v1, size, 0);
AT(pipe_host_v1, abi_major, 4);
AT(pipe_host_v1, abi_minor, 6);
AT(pipe_host_v1, version, 8);
AT(pipe_host_v1, param, 24);
AT(pipe_host_v1, output, 32);
AT(pipe_host_v1, verdict, 40);
AT(pipe_host_v1, diff, 48);
AT(pipe_host_v1, remember, 56);
AT(pipe_host_v1, recall, 64);
AT(pipe_host_v1, log, 72);
AT(pipe_host_v1, progress, 80);
AT(pipe_host_v1, cancelled, 88);
AT(pipe_host_v1, cancel_fd, 96);
AT(pipe_host_v1, fail, 104);
AT(pipe_host_v1, extension, 112);

HOLDS(sizeof(pipe_step_v1) >= 40);
AT(pipe_step_v1, size, 0);
AT(pipe_step_v1, flags, 4);
AT(pipe_step_v1, name, 8);
AT(pipe_step_v1, plan, 16);
AT(pipe_step_v1, run, 24);
AT(pipe_step_v1, undo, 32);

HOLDS(sizeof(pipe_plugin_v1) >= 24);
AT(pipe_plugin_v1, size, 0);
AT(pipe_plugin_v1, abi_major, 4);
AT(pipe_plugin_v1, abi_minor, 6);
AT(pipe_plugin_v1, steps, 8);
AT(pipe_plugin_v1, extension, 16);
