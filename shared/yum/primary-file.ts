/** Is the file listed in primary.xml too, so that dnf finds `/usr/bin/x` without the file lists? createrepo_c's src/misc.h, `cr_is_primary`. */
export function isPrimaryFile(path: string): boolean {
  return path.startsWith("/etc/") || path === "/usr/lib/sendmail" || path.includes("bin/");
}
