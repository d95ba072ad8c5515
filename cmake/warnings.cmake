# pipe_warnings: every target of the tree links it; it is not installed.
add_library(pipe_warnings INTERFACE)
target_compile_options(pipe_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmisleading-indentation
  $<$<COMPILE_LANGUAGE:CXX>:-Wold-style-cast -Wnon-virtual-dtor>
  $<$<BOOL:${PIPE_WERROR}>:-Werror>
  -fstack-protector-strong
  $<$<CONFIG:Release>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
target_compile_definitions(pipe_warnings INTERFACE $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
target_link_options(pipe_warnings INTERFACE LINKER:-z,relro LINKER:-z,now)
