/* pipe/plugin.h - the stable C boundary between pipe and a step plugin (ABI 1).
 *
 * C11 or C++11 and later. Depends on nothing but <stddef.h> and <stdint.h>.
 *
 * Rules that hold for every call below:
 *  - Strings are UTF-8, borrowed, not NUL-terminated; valid until the call returns
 *    (strings of `param` and `recall` stay valid until the operation returns).
 *  - Neither side frees what the other side allocated; results travel by callback.
 *  - No exception, longjmp or exit() may leave a function on either side.
 *  - [thread-safe] may be called from any thread, [main] only from the operation's thread.
 *  - Tables begin with their size and only ever grow at the end. Never call a member that
 *    lies beyond `size`. Values of kinds, statuses and verdicts are never renumbered.
 */
#ifndef PIPE_PLUGIN_H
#define PIPE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#define PIPE_ABI_MAJOR 1 /* layout breaks: a new symbol name */
#define PIPE_ABI_MINOR 0 /* members appended at the end of a table */
#define PIPE_METADATA_SECTION "pipemeta"
#define PIPE_TEXT_(x) #x
#define PIPE_TEXT(x) PIPE_TEXT_(x)
/* The value of "abi" in the metadata: "[1,0]". */
#define PIPE_ABI_JSON "[" PIPE_TEXT(PIPE_ABI_MAJOR) "," PIPE_TEXT(PIPE_ABI_MINOR) "]"

#define PIPE_EXPORT __attribute__((visibility("default")))

#ifdef __cplusplus
#define PIPE_NOEXCEPT noexcept
extern "C" {
#else
#define PIPE_NOEXCEPT
#endif
/* Part of a function's type, and allowed in a typedef, only since C++17. */
#if defined(__cplusplus) && __cplusplus >= 201703L
#define PIPE_NOEXCEPT_TYPE noexcept
#else
#define PIPE_NOEXCEPT_TYPE
#endif

typedef struct pipe_str {
  const char *data;
  size_t size;
} pipe_str;

/* How an operation ended; it decides what the runner does next (TRANSIENT, TIMEOUT: retry). */
typedef int32_t pipe_status;
enum {
  PIPE_OK = 0,
  PIPE_E_INVALID = 1,   /* a parameter or the pipeline is wrong */
  PIPE_E_NOT_FOUND = 2, /* the thing asked for does not exist */
  PIPE_E_DENIED = 3,    /* authentication or authorisation */
  PIPE_E_TRANSIENT = 4, /* worth another try: network, 429, 5xx */
  PIPE_E_TIMEOUT = 5,
  PIPE_E_CANCELLED = 6,
  PIPE_E_MISMATCH = 7, /* digest, signature or assertion did not hold */
  PIPE_E_IO = 8,
  PIPE_E_INTERNAL = 9
};

typedef uint32_t pipe_kind;
enum { PIPE_NULL = 0, PIPE_BOOL, PIPE_INT, PIPE_FLOAT, PIPE_STRING, PIPE_LIST, PIPE_MAP };

typedef struct pipe_value pipe_value;
struct pipe_value {
  pipe_kind kind;
  uint32_t reserved;
  union {
    int64_t i; /* PIPE_BOOL, PIPE_INT; durations in milliseconds, sizes in bytes */
    double f;
    pipe_str s;
    struct {
      const pipe_value *items; /* PIPE_MAP: key, value, key, value ... */
      size_t count;            /* PIPE_MAP: number of items, twice the number of pairs */
    } list;
  } as;
};

/* What `plan` found would happen; what `run` and `undo` say they did. */
typedef int32_t pipe_verdict;
enum {
  PIPE_UNKNOWN = 0, /* depends on something that is not there yet */
  PIPE_UP_TO_DATE = 1,
  PIPE_CREATE = 2,
  PIPE_CHANGE = 3,
  PIPE_REPLACE = 4,
  PIPE_REMOVE = 5
};

typedef struct pipe_progress {
  uint32_t size;        /* sizeof(pipe_progress) */
  uint32_t unit;        /* 0 count, 1 bytes */
  uint64_t id, parent;  /* chosen by the plugin; 0 is the step itself */
  uint64_t done, total; /* total 0: not known yet */
  pipe_str label;
} pipe_progress;

typedef struct pipe_run pipe_run; /* one operation of one step; owned by the host */

typedef struct pipe_host_v1 {
  uint32_t size; /* sizeof the table the host was built with */
  uint16_t abi_major, abi_minor;
  pipe_str version;

  /* [thread-safe] Reads a validated parameter, default already applied. PIPE_NULL: not given.
     In `plan`, PIPE_E_NOT_FOUND: the value depends on a step that has not run yet. */
  pipe_status (*param)(pipe_run *, pipe_str name, pipe_value *out) PIPE_NOEXCEPT;
  /* [main] Publishes an output declared in the metadata. The host copies. In `plan`: the
     outputs that are known already. */
  pipe_status (*output)(pipe_run *, pipe_str name, const pipe_value *) PIPE_NOEXCEPT;
  /* [main] The verdict, with one line for people. Last call wins. */
  void (*verdict)(pipe_run *, pipe_verdict, pipe_str summary) PIPE_NOEXCEPT;
  /* [main] One field that differs: what it is now, what it becomes. */
  void (*diff)(pipe_run *, pipe_str field, pipe_str before, pipe_str after) PIPE_NOEXCEPT;
  /* [main] Keeps a value on disk, at once, for a later `undo` of this step: what `run` made, so
     that `undo` never takes away what was there before. Call it before making the thing. A
     PIPE_NULL value forgets. Never a secret. */
  pipe_status (*remember)(pipe_run *, pipe_str key, const pipe_value *) PIPE_NOEXCEPT;
  /* [main] Reads what was remembered by an earlier operation of this step; PIPE_NULL if nothing. */
  pipe_status (*recall)(pipe_run *, pipe_str key, pipe_value *out) PIPE_NOEXCEPT;
  /* [thread-safe] level: 0 trace, 1 debug, 2 info, 3 warning, 4 error. Fields alternate key, value. */
  void (*log)(pipe_run *, int32_t level, pipe_str message, const pipe_value *fields,
              size_t count) PIPE_NOEXCEPT;
  /* [thread-safe] Cheap: the host coalesces. */
  void (*progress)(pipe_run *, const pipe_progress *) PIPE_NOEXCEPT;
  /* [thread-safe] Non-zero once the operation should stop. */
  int32_t (*cancelled)(pipe_run *) PIPE_NOEXCEPT;
  /* [thread-safe] A descriptor that becomes readable on cancellation; poll it, do not read or close. */
  int32_t (*cancel_fd)(pipe_run *) PIPE_NOEXCEPT;
  /* [main] Says why the operation is about to return a status other than PIPE_OK.
     retry_after_ms: 0, or how long the other side asked us to wait. */
  void (*fail)(pipe_run *, pipe_status, pipe_str message, pipe_str hint,
               int64_t retry_after_ms) PIPE_NOEXCEPT;
  /* [thread-safe] Optional tables, e.g. "pipe.artifacts/1"; NULL if absent. */
  /* clang-format off */
  const void *(*extension)(pipe_run *, const char *id) PIPE_NOEXCEPT;
  /* clang-format on */
} pipe_host_v1;

typedef pipe_status (*pipe_operation)(const pipe_host_v1 *, pipe_run *) PIPE_NOEXCEPT_TYPE;

typedef struct pipe_step_v1 {
  uint32_t size;
  uint32_t flags;   /* 0 */
  const char *name; /* as in the metadata section */
  /* [main] Each is called once, in a process of its own. */
  pipe_operation plan; /* what would change, without changing anything; NULL: unknown */
  pipe_operation run;  /* make it so */
  pipe_operation undo; /* take back what run made, never data unless the parameter `data` of the
                          undo is true (host->param "pipe.undo_data", PIPE_BOOL); NULL: nothing to undo */
} pipe_step_v1;

typedef struct pipe_plugin_v1 {
  uint32_t size;
  uint16_t abi_major, abi_minor;    /* what the plugin was built with */
  const pipe_step_v1 *const *steps; /* ends with NULL */
  /* clang-format off */
  const void *(*extension)(const char *id) PIPE_NOEXCEPT; /* or NULL */
  /* clang-format on */
} pipe_plugin_v1;

/* The one symbol the host looks up. Major versions get a new name. */
PIPE_EXPORT extern const pipe_plugin_v1 pipe_plugin_entry_v1;

/* PIPE_METADATA("{\"pipe\":1,\"abi\":" PIPE_ABI_JSON ",\"step\":\"hello\",…}"): what the file says of
   itself, one JSON object, or an array of one a step. It is read without running the plugin. C++ has
   it made by PIPE_PLUGIN of plugin.hpp. */
#define PIPE_METADATA(json)                             \
  PIPE_EXPORT extern const char pipe_plugin_metadata[]; \
  __attribute__((section(PIPE_METADATA_SECTION), used)) const char pipe_plugin_metadata[] = json

#ifdef __cplusplus
}
#endif
#endif
