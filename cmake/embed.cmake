# cmake -D OUT=FILE.cpp -D FOLDER=DIR -D NAMES=a,b -P embed.cmake: text files as a function of C++ that finds
# them by name. The compiler takes literals of any length that matters here; the delimiter is in no file.
string(REPLACE "," ";" names "${NAMES}")
set(code "#include \"core/report/html_files.hpp\"\n\nnamespace pipes {\n\nstd::string_view html_file(std::string_view name) {\n")
foreach(name IN LISTS names)
  file(READ "${FOLDER}/${name}" text)
  string(APPEND code "  if (name == \"${name}\") return R\"pipe~(${text})pipe~\";\n")
endforeach()
string(APPEND code "  return {};\n}\n\n}  // namespace pipes\n")
file(WRITE "${OUT}" "${code}")
