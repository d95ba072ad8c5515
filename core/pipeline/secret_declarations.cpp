#include "core/pipeline/declarations.hpp"

#include <fmt/core.h>

#include <utility>

namespace pipes {
namespace {

class SecretReader {
 public:
  explicit SecretReader(TableReader &read) : read_(read) {}

  std::vector<SecretDeclaration> read(Tree &document) {
    Tree *secrets = read_.table(document, "secrets", "[secrets.name]");
    if (secrets == nullptr) return {};
    for (std::size_t i = 0; i < secrets->items.size(); ++i) {
      const Tree::Key &key = secrets->keys[i];
      const Tree &body = secrets->items[i];
      if (body.kind != Tree::Kind::map) {
        Diagnostic &d =
            read_.report(key.spot, "wrong-type", fmt::format("secret `{}` is declared by a table", key.name));
        d.help = fmt::format("write [secrets.{}] and below it from = [{{ env = \"NAME\" }}]", key.name);
        d.hide_line = true;
        continue;
      }
      if (read_.check_name(key.spot, "secret", key.name)) secret(key, body);
    }
    return std::move(secrets_);
  }

 private:
  const std::vector<std::string> kSecretKeys{"from", "optional", "description"};
  const std::vector<std::string> kSourceKeys{"env", "file", "command"};

  void secret(const Tree::Key &key, const Tree &body) {
    read_.check_keys(body, fmt::format("[secrets.{}]", key.name), kSecretKeys, {.hides_line = true});
    SecretDeclaration secret;
    secret.name = key.name;
    secret.spot = key.spot;
    secret.description = read_.text(body, "description");
    if (const auto optional = read_.field(body, make_param("optional", Type::boolean)))
      secret.optional = optional->as_bool();
    const Tree *from = body.find("from");
    const bool is_list = from != nullptr && from->kind == Tree::Kind::list;
    if (from == nullptr || (is_list && from->items.empty())) {
      read_
          .report(key.spot, "missing-key",
                  fmt::format("secret `{}` does not say where it comes from", key.name))
          .help = "add from = [{ env = \"NAME\" }, { file = \"/run/secrets/name\" }]";
    } else if (is_list) {
      for (const Tree &item : from->items) secret_source(item, secret);
    } else {
      secret_source(*from, secret);
    }
    secrets_.push_back(std::move(secret));
  }

  void secret_source(const Tree &tree, SecretDeclaration &secret) {
    const auto report = [&](const char *message) {
      Diagnostic &d = read_.report(tree.spot, "wrong-value", message);
      d.help = "write { env = \"NAME\" }, { file = \"/path\" } or { command = [\"program\", \"argument\"] }";
      d.hide_line = true;
    };
    if (tree.kind != Tree::Kind::map || tree.keys.size() != 1)
      return report("a source of a secret is a table with one key");
    read_.check_keys(tree, "a source of a secret", kSourceKeys, {.hides_line = true});
    SecretSource source;
    const Tree *command = tree.find("command"), *variable = tree.find("env"), *file = tree.find("file");
    if (command != nullptr) {
      source.kind = SecretSource::Kind::command;
      source.command = read_.texts(*command, "command");
    } else if (variable != nullptr) {
      source.name = read_.text(tree, "env");
    } else if (file != nullptr) {
      source.kind = SecretSource::Kind::file;
      source.name = read_.text(tree, "file");
    }
    const Tree *value = command != nullptr ? command : variable != nullptr ? variable : file;
    if (!source.name.empty() || !source.command.empty()) {
      secret.from.push_back(std::move(source));
    } else if (value != nullptr &&
               (value->is_string() || (value->kind == Tree::Kind::list && value->items.empty()))) {
      report("a source of a secret is empty");
    }
  }

  TableReader &read_;
  std::vector<SecretDeclaration> secrets_;
};

}  // namespace

std::vector<SecretDeclaration> read_secrets(Tree &document, TableReader &reader) {
  return SecretReader(reader).read(document);
}

}  // namespace pipes
