// The language server of Taplo, one message a line: from standard input, to standard output.
const fs = require("fs");
const path = require("path");
const modules = process.argv[2];
const { TaploLsp } = require(path.join(modules, "@taplo/lsp"));

const environment = {
  now: () => new Date(),
  envVar: () => "",
  envVars: () => [],
  stdErrAtty: () => false,
  stdin: async () => new Uint8Array(),
  stdout: async (bytes) => bytes.length,
  stderr: async (bytes) => bytes.length,
  glob: () => [],
  readFile: async (file) => new Uint8Array(fs.readFileSync(file)),
  writeFile: async () => {},
  urlToFilePath: (url) => decodeURI(url).slice("file://".length),
  isAbsolute: (file) => path.isAbsolute(file),
  cwd: () => process.cwd(),
  findConfigFile: (folder) => {
    const file = path.join(folder, ".taplo.toml");
    return fs.existsSync(file) ? file : undefined;
  },
};

TaploLsp.initialize(environment, {
  onMessage: (message) => process.stdout.write(JSON.stringify(message) + "\n"),
}).then((server) => {
  require("readline")
    .createInterface({ input: process.stdin })
    .on("line", (line) => server.send(JSON.parse(line)));
});
