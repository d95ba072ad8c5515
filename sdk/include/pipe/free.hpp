#pragma once
// Objects of C libraries, owned by std::unique_ptr: `std::unique_ptr<X509, Free<X509_free>>`.

namespace pipes::sdk {

/// A deleter that calls `free`, which may return anything.
template <auto free>
struct Free {
  template <class T>
  void operator()(T *object) const {
    free(object);
  }
};

}  // namespace pipes::sdk
