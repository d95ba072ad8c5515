# pipe_add_plugin(<name> <source>...) - the target <name>, a library pipe-<name>.so that exports the two
# symbols of the contract and nothing else. C and C++ alike. Where CMake keeps <name> for itself ("test"),
# write pipe_add_plugin(pipe-test ...): the file is pipe-test.so all the same.
function(pipe_add_plugin name)
  string(REGEX REPLACE "^pipe-" "" step "${name}")
  set(exports "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/pipe-plugin.map")
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE pipe::sdk)
  set_target_properties(${name} PROPERTIES
    PREFIX "" OUTPUT_NAME "pipe-${step}" SUFFIX ".so"
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LINK_DEPENDS "${exports}")
  target_link_options(${name} PRIVATE "LINKER:--version-script=${exports}"
    LINKER:-z,now LINKER:-z,relro LINKER:--as-needed)
  # A missing symbol fails here and not in a run. The sanitizers' own come with the program that loads it.
  if(NOT "${CMAKE_C_FLAGS} ${CMAKE_CXX_FLAGS}" MATCHES "-fsanitize")
    target_link_options(${name} PRIVATE LINKER:-z,defs)
  endif()
endfunction()
