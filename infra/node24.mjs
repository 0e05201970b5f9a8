// Loaded before everything else (node --import): plain JavaScript, so that an older Node can say what is wrong.
const major = Number(process.versions.node.split(".")[0]);
if (major < 24) {
  console.error(
    `Packhouse runs on Node 24, which \`npm ci\` puts into node_modules, and this is Node ${process.versions.node}: ` +
      "the install script of the package `node` did not run. Do: npm rebuild node --ignore-scripts=false",
  );
  process.exit(1);
}
