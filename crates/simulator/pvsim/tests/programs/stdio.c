/* Writes to the file named by the second argument through C streams, in the way that the first one says. Exits with 3
 * when the C library says that the writing failed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	const char *how = arguments[1], *path = arguments[2];
	FILE *file;

	if (count < 3)
		return 2;
	if (strcmp(how, "fclose") == 0) {
		if ((file = fopen(path, "w")) == NULL)
			return 3;
		fprintf(file, "%d\n", 1);
		return fclose(file) == 0 ? 0 : 3;
	}
	if (strcmp(how, "fflush") == 0) {
		if ((file = fopen(path, "r+e")) == NULL)
			return 3;
		fputs("1\n", file);
		if (fflush(file) == 0)
			return 0;
		return ferror(file) ? 3 : 4;
	}
	if (strcmp(how, "line") == 0) {
		if ((file = fopen(path, "w")) == NULL)
			return 3;
		setlinebuf(file);
		fputs("1\n", file);
		return fclose(file) == 0 ? 0 : 3;
	}
	if (strcmp(how, "freopen") == 0) {
		if (freopen(path, "w", stdout) == NULL)
			return 3;
		puts("1");
		return fflush(stdout) == 0 ? 0 : 3;
	}
	/* Left to the end of the program: nobody is told how it goes. */
	if (strcmp(how, "exit") == 0) {
		if (freopen(path, "w", stdout) == NULL)
			return 3;
		puts("1");
		return 0;
	}
	return 2;
}
