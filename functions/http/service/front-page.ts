/** What a browser sees at `/`. */
export function frontPage(publicUrl: string): string {
  const link = (path: string, text: string) => `<li><a href="${publicUrl}${path}">${text}</a></li>`;
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Packhouse</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}code{background:#eee;padding:0 .2em}</style>
</head>
<body>
<h1>Packhouse</h1>
<p>A package repository: apt, yum and plain directories.</p>
<ul>
${link("/packages/", "Packages, by name")}
${link("/repo", "Repositories")}
${link("/health", "Health")}
${link("/openapi.json", "The interface, described for programs")}
</ul>
<p>Clients install from <code>${publicUrl}/apt/REPO</code> and <code>${publicUrl}/yum/REPO</code>.</p>
</body>
</html>
`;
}
