# pipe_warnings: every target of the tree links it; it is not installed.
add_library(pipe_warnings INTERFACE)
target_compile_options(pipe_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmisleading-indentation
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast -Wnon-virtual-dtor>
  # GCC 12 is wrong about strings put together (GCC bug 105651) and about std::optional (GCC bug 80635).
  "$<$<AND:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict;-Wno-maybe-uninitialized>"
  $<$<BOOL:${PIPE_WERROR}>:-Werror>
  -fstack-protector-strong
  $<$<CONFIG:Release>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
target_compile_definitions(pipe_warnings INTERFACE $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
target_link_options(pipe_warnings INTERFACE LINKER:-z,relro LINKER:-z,now)
